package main

import (
	"bytes"
	"fmt"
)

// Centrifugo speaks its JSON protocol; several replies may come in one frame, a line each.
type Centrifugo struct{}

func (s *Centrifugo) open(client *Client, again bool) error {
	socket, err := dial(client.site.address, "/connection/websocket", "")
	if err != nil {
		return err
	}
	client.version, client.first, client.sent, client.acked = 2, 2, nil, 2
	done := client.expect(`{"id":1`)
	client.start(socket)
	if err := socket.send([]byte(`{"id":1,"connect":{}}`)); err != nil {
		return err
	}
	if _, err := client.await(done); err != nil {
		return err
	}
	from := ""
	if again {
		from = fmt.Sprintf(`,"recover":true,"epoch":"%s","offset":%d`,
			client.place.chain, client.place.to)
	}
	done = client.expect(`{"id":2`)
	command := fmt.Appendf(nil, `{"id":2,"subscribe":{"channel":"%s"%s}}`, client.room, from)
	if err := socket.send(command); err != nil {
		return err
	}
	frame, err := client.await(done)
	if err != nil {
		return err
	}
	client.place.chain = textAfter(frame, `"epoch":"`)
	if !again {
		client.place.to = numberAfter(frame, `"offset":`)
	}
	return nil
}

func (s *Centrifugo) post(client *Client, version int, text string) error {
	return client.socket.send(fmt.Appendf(nil,
		`{"id":%d,"publish":{"channel":"%s","data":{"text":"%s"}}}`, version, client.room, text))
}

func (s *Centrifugo) take(client *Client, frames []byte) {
	for _, frame := range bytes.Split(frames, []byte("\n")) {
		switch {
		case bytes.Equal(frame, []byte(`{}`)):
			client.socket.send(frame)
		case bytes.HasPrefix(frame, []byte(`{"push"`)):
			client.hear(frame)
		case bytes.Contains(frame, []byte(`"error"`)):
			client.site.complain(frame)
		case bytes.HasPrefix(frame, []byte(`{"id":`)):
			client.acknowledgeOne(int(numberAfter(frame, `"id":`)))
		}
	}
}

func (s *Centrifugo) many(client *Client, version int, texts []string) error {
	for place, text := range texts {
		if err := s.post(client, version+place, text); err != nil {
			return err
		}
	}
	return nil
}
