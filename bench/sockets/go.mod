module sotto.example/bench/sockets

go 1.22
