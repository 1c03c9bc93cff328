// Command peers holds the Go clients that the interop tests drive: `peers sdk` is LiveKit's Go SDK,
// `peers pion` is bare pion v4. Each reads one JSON command a line and answers with one JSON line.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
)

type request struct {
	ID   int             `json:"id"`
	Do   string          `json:"do"`
	Args json.RawMessage `json:"args"`
}

type response struct {
	ID    int    `json:"id"`
	OK    any    `json:"ok,omitempty"`
	Error string `json:"error,omitempty"`
}

type handler func(args json.RawMessage) (any, error)

// serve answers each command in its own goroutine, so that a slow one holds up nobody.
func serve(handlers map[string]handler) {
	names := slices.Sorted(maps.Keys(handlers))
	handlers["commands"] = func(json.RawMessage) (any, error) { return map[string]any{"names": names}, nil }
	var out sync.Mutex
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(make([]byte, 1<<20), 1<<24)
	for in.Scan() {
		var req request
		if err := json.Unmarshal(in.Bytes(), &req); err != nil {
			fmt.Fprintln(os.Stderr, "bad command:", err)
			continue
		}
		go func() {
			resp := response{ID: req.ID}
			if do, known := handlers[req.Do]; !known {
				resp.Error = "unknown command " + req.Do
			} else if ok, err := do(req.Args); err != nil {
				resp.Error = err.Error()
			} else if ok == nil {
				resp.OK = struct{}{}
			} else {
				resp.OK = ok
			}
			line, _ := json.Marshal(resp)
			out.Lock()
			defer out.Unlock()
			os.Stdout.Write(append(line, '\n'))
		}()
	}
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: peers sdk|pion")
		os.Exit(2)
	}
	switch os.Args[1] {
	case "sdk":
		serve(newSDK().handlers())
	case "pion":
		serve(newPion().handlers())
	default:
		fmt.Fprintln(os.Stderr, "usage: peers sdk|pion")
		os.Exit(2)
	}
}
