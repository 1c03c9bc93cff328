package main

import (
	"sync"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

// counter counts what arrives on one remote track; a sampler elsewhere asks for it.
type counter struct {
	mu      sync.Mutex
	Sid     string `json:"sid"`
	Kind    string `json:"kind"`
	Mime    string `json:"mime"`
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"`
	Frames  uint64 `json:"frames"`
	Lost    int64  `json:"lost"`
	Width   int    `json:"width"`
	Height  int    `json:"height"`
	GapMs   int64  `json:"gap_ms"`

	last     time.Time
	expected uint64
	nextSeq  uint16
	started  bool
}

func (c *counter) packet(p *rtp.Packet, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.started {
		if gap := now.Sub(c.last).Milliseconds(); gap > c.GapMs {
			c.GapMs = gap
		}
		if ahead := int16(p.SequenceNumber - c.nextSeq); ahead >= 0 {
			c.Lost += int64(ahead)
			c.nextSeq = p.SequenceNumber + 1
		} else {
			c.Lost--
		}
	} else {
		c.started, c.nextSeq = true, p.SequenceNumber+1
	}
	c.last = now
	if len(p.Payload) == 0 {
		return
	}
	c.Packets++
	c.Bytes += uint64(len(p.Payload))
	if p.Marker || c.Kind == "audio" {
		c.Frames++
	}
	c.size(p.Payload)
}

// size reads the frame size out of a VP8 key frame (RFC 6386 section 9.1 behind RFC 7741's descriptor).
func (c *counter) size(b []byte) {
	if c.Mime != webrtc.MimeTypeVP8 || b[0]&0x10 == 0 {
		return
	}
	at := 1
	if b[0]&0x80 != 0 && len(b) > 2 {
		x := b[1]
		at++
		if x&0x80 != 0 {
			if b[at]&0x80 != 0 {
				at++
			}
			at++
		}
		if x&0x40 != 0 {
			at++
		}
		if x&0x30 != 0 {
			at++
		}
	}
	if len(b) < at+10 || b[at]&1 != 0 {
		return
	}
	f := b[at:]
	c.Width = int(f[6]) | int(f[7]&0x3f)<<8
	c.Height = int(f[8]) | int(f[9]&0x3f)<<8
}

func (c *counter) read(track *webrtc.TrackRemote) {
	for {
		p, _, err := track.ReadRTP()
		if err != nil {
			return
		}
		c.packet(p, time.Now())
	}
}

func (c *counter) copy() map[string]any {
	c.mu.Lock()
	defer c.mu.Unlock()
	gap := c.GapMs
	if c.started {
		if open := time.Since(c.last).Milliseconds(); open > gap {
			gap = open
		}
	}
	return map[string]any{"sid": c.Sid, "kind": c.Kind, "mime": c.Mime, "packets": c.Packets, "bytes": c.Bytes,
		"frames": c.Frames, "lost": c.Lost, "width": c.Width, "height": c.Height, "gap_ms": gap}
}

func (c *counter) resetGap() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.GapMs, c.last = 0, time.Now()
}
