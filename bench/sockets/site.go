package main

import (
	"fmt"
	"math/rand"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Site is one server under load. The first `talking` rooms have a client of everybody; the others
// are for those that come, sleep and come again.
type Site struct {
	address string
	rooms   []string
	tokens  []string
	talking int
	pids    []int
	speech  Speech
	tally   Tally

	clients    []*Client // room by room
	fleet      []*Client
	next       int
	complaints atomic.Int64
}

const atOnce = 32

func (s *Site) complain(frame []byte) {
	if s.complaints.Add(1) <= 3 {
		fmt.Fprintf(os.Stderr, "sockets: %.300s\n", frame)
	}
}

func (s *Site) client(room, member int) *Client {
	s.next++
	return &Client{number: s.next, site: s, room: s.rooms[room], token: s.tokens[member]}
}

// each runs `work` for all clients, some at once, and returns the first error.
func each(clients []*Client, some int, work func(*Client) error) error {
	var group sync.WaitGroup
	var failed atomic.Pointer[error]
	places := make(chan struct{}, some)
	for _, client := range clients {
		group.Add(1)
		places <- struct{}{}
		go func() {
			defer func() { <-places; group.Done() }()
			if err := work(client); err != nil {
				failed.CompareAndSwap(nil, &err)
			}
		}()
	}
	group.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

func (s *Site) anew(client *Client) error { return s.speech.open(client, false) }

func (s *Site) open() error {
	for room := range s.talking {
		for member := range s.tokens {
			s.clients = append(s.clients, s.client(room, member))
		}
	}
	return each(s.clients, atOnce, s.anew)
}

// post is by everybody in turn, room after room.
func (s *Site) post(number int) error {
	room, members := number%s.talking, len(s.tokens)
	return s.clients[room*members+number/s.talking%members].post()
}

// pace posts so often, whatever the answers do; how many it were.
func (s *Site) pace(rate float64, from int, until func(time.Duration) bool) (int, error) {
	start, sent := time.Now(), 0
	for {
		passed := time.Since(start)
		if until(passed) {
			return sent, nil
		}
		for due := int(passed.Seconds() * rate); sent < due; sent++ {
			if err := s.post(from + sent); err != nil {
				return sent, err
			}
		}
		time.Sleep(time.Millisecond)
	}
}

func lasting(seconds float64) func(time.Duration) bool {
	return func(passed time.Duration) bool { return passed.Seconds() >= seconds }
}

// Load is one rate held for a while.
type Load struct {
	Sent       int     `json:"sent"`
	SentPerS   float64 `json:"sent_per_s"`
	PerS       float64 `json:"deliveries_per_s"`
	Missing    int     `json:"missing"`
	Acks       Spread  `json:"acks"`
	Deliveries Spread  `json:"deliveries"`
	ServerCPU  float64 `json:"server_cpu_s"`
	LoadCPU    float64 `json:"load_cpu_s"`
}

func (s *Site) load(rate, seconds, warm float64) (Load, error) {
	first, err := s.pace(rate, 0, lasting(warm))
	if err != nil {
		return Load{}, err
	}
	busy, own, start := cpu(s.pids...), cpu(os.Getpid()), time.Now()
	s.tally.begin()
	sent, err := s.pace(rate, first, lasting(seconds))
	s.tally.end()
	took := time.Since(start).Seconds()
	if err != nil {
		return Load{}, err
	}
	wanted := sent * (len(s.tokens) - 1)
	s.settle(sent, wanted)
	// Also what is done after the window belongs to the messages in it.
	busy, own = cpu(s.pids...)-busy, cpu(os.Getpid())-own
	acks, deliveries, last := s.tally.spreads()
	whole := max(took, float64(last-s.tally.from)/1e9)
	return Load{
		Sent: sent, SentPerS: float64(sent) / took, PerS: float64(deliveries.Count) / whole,
		Missing: wanted - deliveries.Count, Acks: acks, Deliveries: deliveries,
		ServerCPU: busy, LoadCPU: own,
	}, nil
}

// settle waits for what is under way, and no longer than nothing more comes.
func (s *Site) settle(acks, deliveries int) {
	before, still := -1, 0
	for still < 20 {
		time.Sleep(100 * time.Millisecond)
		a, d := s.tally.counts()
		if a >= acks && d >= deliveries {
			return
		}
		if a+d == before {
			still++
		} else {
			before, still = a+d, 0
		}
	}
}

// sleepers opens clients in the rooms where nobody talks, gently.
func (s *Site) sleepers(count int) error {
	quiet := len(s.rooms) - s.talking
	for number := range count {
		room := s.talking + number%quiet
		s.fleet = append(s.fleet, s.client(room, number/quiet%len(s.tokens)))
	}
	return each(s.fleet[len(s.fleet)-count:], atOnce, s.anew)
}

// Storm is everybody coming again at once, while others talk.
type Storm struct {
	Clients int     `json:"clients"`
	Back    int64   `json:"back"`
	Seconds float64 `json:"seconds"`
	Tries   int64   `json:"tries"`
	Each    Spread  `json:"each"`
	Calm    Spread  `json:"others_before"`
	Others  Spread  `json:"others"`
}

const longest = 60 * time.Second

func (s *Site) storm(rate float64) (Storm, error) {
	calm, err := s.load(rate, 5, 1)
	if err != nil {
		return Storm{}, err
	}
	for _, client := range s.fleet {
		client.cut()
	}
	time.Sleep(2 * time.Second)
	found := Storm{Clients: len(s.fleet), Calm: calm.Deliveries}
	s.tally.begin()
	var over atomic.Bool
	talked := make(chan error, 1)
	go func() {
		_, err := s.pace(rate, 0, func(time.Duration) bool { return over.Load() })
		talked <- err
	}()
	var mutex sync.Mutex
	var took []int64
	var tries, back atomic.Int64
	start := time.Now()
	each(s.fleet, len(s.fleet), func(client *Client) error {
		for time.Since(start) < longest {
			tries.Add(1)
			if err := s.speech.open(client, true); err == nil {
				back.Add(1)
				mutex.Lock()
				took = append(took, int64(time.Since(start)))
				mutex.Unlock()
				return nil
			}
			// As our clients do: at random within a time that grows elsewhere, here up to a second.
			time.Sleep(time.Duration(rand.Int63n(int64(time.Second))))
		}
		return nil
	})
	found.Seconds = time.Since(start).Seconds()
	over.Store(true)
	if err := <-talked; err != nil {
		return found, err
	}
	s.tally.end()
	s.settle(1<<30, 1<<30)
	_, found.Others, _ = s.tally.spreads()
	found.Back, found.Tries, found.Each = back.Load(), tries.Load(), spread(took)
	return found, nil
}

// resume: one client comes again so many times, each time as far behind.
func (s *Site) resume(behind, times int) (Spread, error) {
	room := len(s.rooms) - 1
	reader, writer := s.client(room, 1), s.client(room, 0)
	for _, client := range []*Client{reader, writer} {
		if err := s.anew(client); err != nil {
			return Spread{}, err
		}
	}
	if err := s.fill(writer, 1); err != nil {
		return Spread{}, err
	}
	time.Sleep(500 * time.Millisecond)
	reader.cut()
	place := reader.place
	if err := s.fill(writer, behind); err != nil {
		return Spread{}, err
	}
	var took []int64
	for range times {
		time.Sleep(300 * time.Millisecond)
		reader.place = place
		start := now()
		if err := s.speech.open(reader, true); err != nil {
			return Spread{}, err
		}
		took = append(took, now()-start)
		reader.cut()
	}
	writer.cut()
	return spread(took), nil
}

const batch = 200

// fill posts many messages, as a client that was offline for long uploads its own.
func (s *Site) fill(client *Client, count int) error {
	for count > 0 {
		some := min(count, batch)
		count -= some
		if err := client.many(some); err != nil {
			return err
		}
		for {
			client.mutex.Lock()
			done, lost := client.acked >= client.version, client.lost
			client.mutex.Unlock()
			if lost != nil {
				return lost
			}
			if done {
				break
			}
			time.Sleep(200 * time.Microsecond)
		}
	}
	return nil
}
