"""A MongoDB wire server for tests: mongo-java-server behind a launcher of ours."""
