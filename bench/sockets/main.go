// The load of the chat sections of `make bench`: very many WebSockets that cost little, for Sotto
// and for Centrifugo alike. Commands come as lines of JSON, and each is answered by one.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Command is one line; which fields count is its verb's to say.
type Command struct {
	Do      string   `json:"do"`
	Kind    string   `json:"kind"`
	Address string   `json:"address"`
	Rooms   []string `json:"rooms"`
	Tokens  []string `json:"tokens"`
	Talking int      `json:"talking"`
	Pids    []int    `json:"pids"`
	Rate    float64  `json:"rate"`
	Seconds float64  `json:"seconds"`
	Warm    float64  `json:"warm"`
	Count   int      `json:"count"`
	Times   int      `json:"times"`
	Room    int      `json:"room"`
}

func (s *Site) obey(order Command) (any, error) {
	switch order.Do {
	case "start":
		s.address, s.rooms, s.tokens = order.Address, order.Rooms, order.Tokens
		s.talking, s.pids = order.Talking, order.Pids
		s.speech = map[string]Speech{"sotto": &Sotto{}, "centrifugo": &Centrifugo{}}[order.Kind]
		return nil, nil
	case "open":
		return len(s.tokens) * s.talking, s.open()
	case "load":
		return s.load(order.Rate, order.Seconds, order.Warm)
	case "sleepers":
		return order.Count, s.sleepers(order.Count)
	case "storm":
		return s.storm(order.Rate)
	case "resume":
		return s.resume(order.Count, order.Times)
	case "fill":
		client := s.client(order.Room, 0)
		if err := s.anew(client); err != nil {
			return nil, err
		}
		defer client.cut()
		start := time.Now()
		err := s.fill(client, order.Count)
		return time.Since(start).Seconds(), err
	case "complaints":
		return s.complaints.Load(), nil
	}
	return nil, fmt.Errorf("no such command: %q", order.Do)
}

// cpu is the user and system time of processes, in seconds.
func cpu(pids ...int) float64 {
	ticks := 0.0
	for _, pid := range pids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue
		}
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		for _, field := range fields[11:13] {
			value, _ := strconv.ParseFloat(field, 64)
			ticks += value
		}
	}
	return ticks / 100
}

func main() {
	site := &Site{}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	answers := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var order Command
		if err := json.Unmarshal(lines.Bytes(), &order); err != nil {
			answers.Encode(map[string]string{"error": err.Error()})
			continue
		}
		found, err := site.obey(order)
		if err != nil {
			answers.Encode(map[string]string{"error": err.Error()})
		} else {
			answers.Encode(map[string]any{"answer": found})
		}
	}
}
