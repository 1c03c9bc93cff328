package main

import (
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"
)

// askKeyframes sends a PLI a second until the stream has shown a key frame, as a decoder would.
func (p *pionPeer) askKeyframes(track *webrtc.TrackRemote) {
	for range 5 {
		if err := p.pc.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: uint32(track.SSRC())}}); err != nil {
			return
		}
		time.Sleep(time.Second)
	}
}
