package main

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Before the 16 digits of nanoseconds and the 6 of the sender in each body.
const (
	mark    = "T!"
	digits  = 16
	senders = 6
)

var filling = strings.Repeat("x", 56)

// Client is one person's device in one room. `speak` is what its server understands.
type Client struct {
	number int
	site   *Site
	room   string
	token  string

	socket  *Socket
	waiting chan []byte
	wanted  string

	mutex   sync.Mutex
	version int
	first   int
	sent    []int64
	acked   int
	place   place
	lost    error
}

// place is how far a client has come, for coming again.
type place struct {
	ident, salt string // Sotto: the file's
	to          uint64
	chain       string // Sotto: the log's; Centrifugo: its epoch
}

// Speech is one server's protocol.
type Speech interface {
	// open connects and subscribes; anew, or from where the client was.
	open(client *Client, again bool) error
	// post sends one message; the client's lock is held.
	post(client *Client, version int, text string) error
	// many sends messages of a long absence, at once; the lock is held.
	many(client *Client, version int, texts []string) error
	// take reads what comes, on the client's own goroutine.
	take(client *Client, frame []byte)
}

func (c *Client) post() error {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.lost != nil {
		return c.lost
	}
	c.version++
	at := now()
	c.sent = append(c.sent, at)
	text := fmt.Sprintf("%s%016d%06d%s", mark, at, c.number, filling)
	return c.site.speech.post(c, c.version, text)
}

// acknowledge notes all up to `version`.
func (c *Client) acknowledge(version int) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	for c.acked < version && c.acked-c.first < len(c.sent) {
		c.site.tally.acked(c.sent[c.acked-c.first])
		c.acked++
	}
}

func (c *Client) acknowledgeOne(version int) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if place := version - c.first - 1; place >= 0 && place < len(c.sent) {
		c.site.tally.acked(c.sent[place])
		c.acked++
	}
}

// hear notes every message of others in a frame.
func (c *Client) hear(frame []byte) {
	for {
		at := bytes.Index(frame, []byte(mark))
		if at < 0 || len(frame) < at+len(mark)+digits+senders {
			return
		}
		frame = frame[at+len(mark):]
		sent, wrong := strconv.ParseInt(string(frame[:digits]), 10, 64)
		sender, _ := strconv.Atoi(string(frame[digits : digits+senders]))
		if wrong == nil && sender != c.number {
			c.site.tally.delivered(sent)
		}
	}
}

// expect makes the next frame that begins so arrive at the returned channel.
func (c *Client) expect(prefix string) <-chan []byte {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.wanted, c.waiting = prefix, make(chan []byte, 1)
	return c.waiting
}

func (c *Client) answer(frame []byte) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.waiting != nil && bytes.HasPrefix(frame, []byte(c.wanted)) {
		c.waiting <- bytes.Clone(frame)
		c.waiting = nil
	}
}

func (c *Client) await(answer <-chan []byte) ([]byte, error) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case frame, ok := <-answer:
		if !ok {
			return nil, fmt.Errorf("the connection ended: %v", c.lost)
		}
		return frame, nil
	case <-timer.C:
		return nil, fmt.Errorf("no answer for %v", patience)
	}
}

func (c *Client) start(socket *Socket) {
	c.mutex.Lock()
	c.socket, c.lost = socket, nil
	c.mutex.Unlock()
	go c.listen(socket)
}

func (c *Client) listen(socket *Socket) {
	for {
		frame, err := socket.read()
		if err != nil {
			c.ended(socket, err)
			return
		}
		c.site.speech.take(c, frame)
		c.answer(frame)
	}
}

func (c *Client) ended(socket *Socket, err error) {
	socket.conn.Close()
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.socket != socket {
		return
	}
	c.lost = err
	if c.waiting != nil {
		close(c.waiting)
		c.waiting = nil
	}
}

func (c *Client) cut() { c.socket.cut() }

// numberAfter reads the digits after `key` in a frame; 0 when it is not there.
func numberAfter(frame []byte, key string) uint64 {
	at := bytes.Index(frame, []byte(key))
	if at < 0 {
		return 0
	}
	var value uint64
	for _, digit := range frame[at+len(key):] {
		if digit < '0' || digit > '9' {
			break
		}
		value = value*10 + uint64(digit-'0')
	}
	return value
}

// textAfter reads a JSON string without escapes after `key`.
func textAfter(frame []byte, key string) string {
	at := bytes.Index(frame, []byte(key))
	if at < 0 {
		return ""
	}
	rest := frame[at+len(key):]
	end := bytes.IndexByte(rest, '"')
	if end < 0 {
		return ""
	}
	return string(rest[:end])
}

// many posts messages that a search tells apart: one in a thousand has the rare word.
func (c *Client) many(count int) error {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.lost != nil {
		return c.lost
	}
	texts := make([]string, count)
	for place := range texts {
		number := c.version + place + 1
		word := "usual"
		if number%1000 == 0 {
			word = "needle"
		}
		texts[place] = fmt.Sprintf("number %07d of a long history, with a %s word in it%s",
			number, word, filling[:20])
	}
	version := c.version + 1
	c.version += count
	c.sent = append(c.sent, make([]int64, count)...)
	return c.site.speech.many(c, version, texts)
}
