package main

import (
	"math"
	"sort"
	"sync"
	"time"
)

// Times are nanoseconds since the start of this process, which sends and receives.
var begun = time.Now()

func now() int64 { return int64(time.Since(begun)) }

// Tally holds latencies of what was sent inside its window.
type Tally struct {
	mutex      sync.Mutex
	from, to   int64
	acks       []int64
	deliveries []int64
	last       int64
}

func (t *Tally) begin() {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.from, t.to, t.last = now(), math.MaxInt64, 0
	t.acks, t.deliveries = nil, nil
}

func (t *Tally) end() {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.to = now()
}

func (t *Tally) acked(sent int64) { t.add(&t.acks, sent) }

func (t *Tally) delivered(sent int64) { t.add(&t.deliveries, sent) }

func (t *Tally) add(to *[]int64, sent int64) {
	at := now()
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if sent >= t.from && sent < t.to {
		*to = append(*to, at-sent)
		t.last = at
	}
}

func (t *Tally) counts() (int, int) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return len(t.acks), len(t.deliveries)
}

// Spread is what is told of many latencies, in milliseconds.
type Spread struct {
	Count int     `json:"count"`
	P50   float64 `json:"p50"`
	P99   float64 `json:"p99"`
	Max   float64 `json:"max"`
}

func spread(values []int64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	sort.Slice(values, func(a, b int) bool { return values[a] < values[b] })
	at := func(part float64) float64 {
		place := int(float64(len(values)) * part)
		return float64(values[min(place, len(values)-1)]) / 1e6
	}
	return Spread{len(values), at(0.5), at(0.99), at(1)}
}

func (t *Tally) spreads() (acks, deliveries Spread, last int64) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return spread(t.acks), spread(t.deliveries), t.last
}
