package main

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

// Both servers speak TLS, as they would in production; every handshake is a full one.
var trusting = &tls.Config{InsecureSkipVerify: true, SessionTicketsDisabled: true}

const patience = 60 * time.Second

// Socket is one WebSocket over TLS (RFC 6455): one goroutine reads, anybody writes.
type Socket struct {
	conn   net.Conn
	reader *bufio.Reader
	frame  []byte

	mutex sync.Mutex
	out   []byte
}

func dial(address, path, fields string) (*Socket, error) {
	dialer := &net.Dialer{Timeout: patience}
	conn, err := tls.DialWithDialer(dialer, "tcp", address, trusting)
	if err != nil {
		return nil, err
	}
	socket := &Socket{conn: conn, reader: bufio.NewReaderSize(conn, 4096)}
	conn.SetDeadline(time.Now().Add(patience))
	err = socket.upgrade(path, fields)
	conn.SetDeadline(time.Time{})
	if err != nil {
		conn.Close()
		return nil, err
	}
	return socket, nil
}

func (s *Socket) upgrade(path, fields string) error {
	request := "GET " + path + " HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n" +
		"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" + fields + "\r\n"
	if _, err := io.WriteString(s.conn, request); err != nil {
		return err
	}
	status, err := s.reader.ReadString('\n')
	if err != nil {
		return err
	}
	if !strings.Contains(status, " 101 ") {
		return fmt.Errorf("refused: %s", strings.TrimSpace(status))
	}
	for line := status; line != "\r\n"; {
		if line, err = s.reader.ReadString('\n'); err != nil {
			return err
		}
	}
	return nil
}

// read returns the next text message; it is valid until the next call. Neither server fragments.
func (s *Socket) read() ([]byte, error) {
	for {
		var head [10]byte
		if _, err := io.ReadFull(s.reader, head[:2]); err != nil {
			return nil, err
		}
		size := uint64(head[1] & 127)
		more := 0
		if size == 126 {
			more = 2
		} else if size == 127 {
			more = 8
		}
		if more > 0 {
			if _, err := io.ReadFull(s.reader, head[2:2+more]); err != nil {
				return nil, err
			}
			size = uint64(binary.BigEndian.Uint16(head[2:]))
			if more == 8 {
				size = binary.BigEndian.Uint64(head[2:])
			}
		}
		if uint64(cap(s.frame)) < size {
			s.frame = make([]byte, size)
		}
		s.frame = s.frame[:size]
		if _, err := io.ReadFull(s.reader, s.frame); err != nil {
			return nil, err
		}
		switch head[0] {
		case 0x81:
			return s.frame, nil
		case 0x89:
			s.write(0x8a, s.frame)
		case 0x88:
			return nil, fmt.Errorf("closed by the server: %q", s.frame)
		}
	}
}

func (s *Socket) send(text []byte) error {
	return s.write(0x81, text)
}

// A mask of zeros is a mask (section 5.3); the load has better things to do.
func (s *Socket) write(first byte, data []byte) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	out := append(s.out[:0], first)
	switch size := len(data); {
	case size < 126:
		out = append(out, 0x80|byte(size))
	case size < 65536:
		out = binary.BigEndian.AppendUint16(append(out, 0x80|126), uint16(size))
	default:
		out = binary.BigEndian.AppendUint64(append(out, 0x80|127), uint64(size))
	}
	s.out = append(append(out, 0, 0, 0, 0), data...)
	_, err := s.conn.Write(s.out)
	return err
}

// cut ends the connection as a lost network does: without a word.
func (s *Socket) cut() {
	if inner, ok := s.conn.(*tls.Conn); ok {
		inner.NetConn().Close()
	}
}
