import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.MongoVersion;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;
import de.bwaldvogel.mongo.bson.BsonTimestamp;
import de.bwaldvogel.mongo.bson.Document;
import de.bwaldvogel.mongo.wire.message.MongoMessage;
import java.net.InetSocketAddress;
import java.time.Instant;
import java.util.List;

/**
 * A MongoDB wire server in memory, on a free port that it prints; ends with its standard input. With
 * the word "oplog" it has change streams, as a replica set does.
 */
public final class StandIn {
    /** Wire version 9 (MongoDB 4.4), the least that today's drivers take; the server's own is 8. */
    private record Version(List<Integer> getVersionArray, int getWireVersion) implements MongoVersion {}

    /** One thing at a time: beside writes its reads would fail now and then, which no MongoDB does. */
    private static class Calm extends MemoryBackend {
        @Override
        public synchronized Document handleMessage(MongoMessage message) {
            return super.handleMessage(message);
        }
    }

    /** Says of each answer when it was given: drivers begin to watch from there. */
    private static final class Timed extends Calm {
        @Override
        public Document handleMessage(MongoMessage message) {
            Document answer = super.handleMessage(message);
            answer.put("operationTime", new BsonTimestamp(Instant.now(), 1));
            return answer;
        }
    }

    public static void main(String[] arguments) throws Exception {
        boolean streams = List.of(arguments).contains("oplog");
        MemoryBackend backend = streams ? new Timed() : new Calm();
        backend.version(new Version(List.of(4, 4, 0), 9));
        if (streams) {
            backend.enableOplog();
        }
        MongoServer server = new MongoServer(backend);
        server.bind(new InetSocketAddress("127.0.0.1", 0));
        System.out.println(server.getLocalAddress().getPort());
        while (System.in.read() >= 0) {}
        server.shutdownNow();
    }
}
