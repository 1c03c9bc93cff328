package main

import (
	"bytes"
	"fmt"
	"strings"
	"sync/atomic"
	"time"
)

// Sotto speaks `sotto.1`: one session on one room's log for each socket.
type Sotto struct{ ids atomic.Uint64 }

func (s *Sotto) open(client *Client, again bool) error {
	fields := "Sec-WebSocket-Protocol: sotto.1\r\nAuthorization: Bearer " + client.token + "\r\n"
	socket, err := dial(client.site.address, "/sync", fields)
	if err != nil {
		return err
	}
	if again {
		client.start(socket)
		return s.resume(client)
	}
	named := client.expect(`{"type":"ident"`)
	client.start(socket)
	err = socket.send(fmt.Appendf(nil,
		`{"type":"bind","session":1,"path":"room:%s","need_client_file_ident":true}`, client.room))
	if err != nil {
		return err
	}
	frame, err := client.await(named)
	if err != nil {
		return err
	}
	client.place.ident = textAfter(frame, `"client_file_ident":"`)
	client.place.salt = textAfter(frame, `"client_file_ident_salt":"`)
	// The newest message alone: what a client shows first.
	first := client.expect(`{"type":"download"`)
	if err := socket.send(s.ident(client, `,"window":1`)); err != nil {
		return err
	}
	_, err = client.await(first)
	return err
}

func (s *Sotto) ident(client *Client, more string) []byte {
	return fmt.Appendf(nil,
		`{"type":"ident","session":1,"client_file_ident":"%s","client_file_ident_salt":"%s"%s}`,
		client.place.ident, client.place.salt, more)
}

// resume is done when everything that was there has arrived.
func (s *Sotto) resume(client *Client) error {
	marked := client.expect(`{"type":"mark"`)
	bind := fmt.Appendf(nil, `{"type":"bind","session":1,"path":"room:%s"}`, client.room)
	ident := s.ident(client, fmt.Sprintf(
		`,"download_server_version":%d,"chain":"%s"`, client.place.to, client.place.chain))
	for _, frame := range [][]byte{bind, ident, []byte(`{"type":"mark","session":1,"request":1}`)} {
		if err := client.socket.send(frame); err != nil {
			return err
		}
	}
	_, err := client.await(marked)
	return err
}

func (s *Sotto) post(client *Client, version int, text string) error {
	return s.many(client, version, []string{text})
}

func (s *Sotto) many(client *Client, version int, texts []string) error {
	var changes strings.Builder
	clock := time.Now().UnixMilli()
	for place, text := range texts {
		if place > 0 {
			changes.WriteByte(',')
		}
		// A UUID of version 7 (RFC 9562 section 5.7) that counts where others have noise.
		fmt.Fprintf(&changes, `{"version":%d,"clock":%d,"op":{"type":"post",`+
			`"id":"%08x-%04x-7000-8000-%012x","body":{"format":"m.plain.v1","text":"%s"}}}`,
			version+place, clock, uint64(clock)>>16, uint64(clock)&0xffff, s.ids.Add(1), text)
	}
	return client.socket.send([]byte(
		`{"type":"upload","session":1,"changes":[` + changes.String() + `]}`))
}

func (s *Sotto) take(client *Client, frame []byte) {
	switch {
	case bytes.HasPrefix(frame, []byte(`{"type":"download"`)):
		client.hear(frame)
		client.acknowledge(int(numberAfter(frame, `"upload_client_version":`)))
		client.place.to = numberAfter(frame, `"to":`)
		if chain := textAfter(frame, `"chain":"`); chain != "" {
			client.place.chain = chain
		}
	case bytes.HasPrefix(frame, []byte(`{"type":"ping"`)):
		client.socket.send(fmt.Appendf(nil, `{"type":"pong","id":%d}`, numberAfter(frame, `"id":`)))
	case bytes.HasPrefix(frame, []byte(`{"type":"error"`)):
		client.site.complain(frame)
	}
}
