package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"sync"

	"github.com/pion/webrtc/v4"
)

// pionPeer is an SDP peer: it offers, takes an answer, moves media and data, and knows no signalling.
type pionPeer struct {
	mu       sync.Mutex
	pc       *webrtc.PeerConnection
	channels map[string]*webrtc.DataChannel
	messages []map[string]string
	tracks   []*counter
}

func newPion() *pionPeer {
	return &pionPeer{channels: map[string]*webrtc.DataChannel{}}
}

func (p *pionPeer) handlers() map[string]handler {
	return map[string]handler{"offer": p.offer, "answer": p.answer, "send": p.send, "stats": p.stats, "close": p.close}
}

type offerArgs struct {
	Publish   []string `json:"publish"`
	Subscribe []string `json:"subscribe"`
	Channels  []string `json:"channels"`
	Video     string   `json:"video"`
	Audio     string   `json:"audio"`
}

func (p *pionPeer) offer(raw json.RawMessage) (any, error) {
	var args offerArgs
	if err := json.Unmarshal(raw, &args); err != nil {
		return nil, err
	}
	settings := webrtc.SettingEngine{}
	settings.SetIncludeLoopbackCandidate(true)
	media := &webrtc.MediaEngine{}
	if err := media.RegisterDefaultCodecs(); err != nil {
		return nil, err
	}
	pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(settings), webrtc.WithMediaEngine(media)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return nil, err
	}
	p.pc = pc
	pc.OnTrack(p.onTrack)
	for _, label := range args.Channels {
		if err := p.open(label); err != nil {
			return nil, err
		}
	}
	if err := p.publish(args); err != nil {
		return nil, err
	}
	for _, kind := range args.Subscribe {
		direction := webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}
		if _, err := pc.AddTransceiverFromKind(webrtc.NewRTPCodecType(kind), direction); err != nil {
			return nil, err
		}
	}
	gathered := webrtc.GatheringCompletePromise(pc)
	offer, err := pc.CreateOffer(nil)
	if err != nil {
		return nil, err
	}
	if err := pc.SetLocalDescription(offer); err != nil {
		return nil, err
	}
	<-gathered
	return map[string]string{"sdp": pc.LocalDescription().SDP}, nil
}

func (p *pionPeer) open(label string) error {
	ordered := label == "_reliable"
	options := &webrtc.DataChannelInit{Ordered: &ordered}
	if !ordered {
		none := uint16(0)
		options.MaxRetransmits = &none
	}
	channel, err := p.pc.CreateDataChannel(label, options)
	if err != nil {
		return err
	}
	p.channels[label] = channel
	channel.OnMessage(func(m webrtc.DataChannelMessage) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.messages = append(p.messages, map[string]string{"channel": label, "data": base64.StdEncoding.EncodeToString(m.Data)})
	})
	return nil
}

func (p *pionPeer) publish(args offerArgs) error {
	for _, kind := range args.Publish {
		mime, clock, file := webrtc.MimeTypeVP8, uint32(90000), args.Video
		if kind == "audio" {
			mime, clock, file = webrtc.MimeTypeOpus, 48000, args.Audio
		}
		track, err := webrtc.NewTrackLocalStaticSample(webrtc.RTPCodecCapability{MimeType: mime, ClockRate: clock}, kind+"-track", "stream")
		if err != nil {
			return err
		}
		sender, err := p.pc.AddTrack(track)
		if err != nil {
			return err
		}
		go drain(sender)
		if kind == "audio" {
			go playOgg(file, track.WriteSample)
		} else {
			go playIvf(file, track.WriteSample)
		}
	}
	return nil
}

// drain reads RTCP so that pion's interceptors (NACK answers, reports) run.
func drain(sender *webrtc.RTPSender) {
	buffer := make([]byte, 1500)
	for {
		if _, _, err := sender.Read(buffer); err != nil {
			return
		}
	}
}

func (p *pionPeer) onTrack(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
	c := &counter{Sid: track.ID(), Kind: track.Kind().String(), Mime: track.Codec().MimeType}
	p.mu.Lock()
	p.tracks = append(p.tracks, c)
	p.mu.Unlock()
	if c.Kind == "video" {
		go p.askKeyframes(track)
	}
	c.read(track)
}

func (p *pionPeer) answer(raw json.RawMessage) (any, error) {
	var args struct{ SDP string }
	if err := json.Unmarshal(raw, &args); err != nil {
		return nil, err
	}
	return nil, p.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: args.SDP})
}

func (p *pionPeer) send(raw json.RawMessage) (any, error) {
	var args struct{ Channel, Data string }
	if err := json.Unmarshal(raw, &args); err != nil {
		return nil, err
	}
	data, err := base64.StdEncoding.DecodeString(args.Data)
	if err != nil {
		return nil, err
	}
	channel := p.channels[args.Channel]
	if channel == nil || channel.ReadyState() != webrtc.DataChannelStateOpen {
		return nil, errors.New("channel is not open")
	}
	return nil, channel.Send(data)
}

func (p *pionPeer) stats(json.RawMessage) (any, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	tracks := []any{}
	for _, c := range p.tracks {
		tracks = append(tracks, c.copy())
	}
	open := []string{}
	for label, channel := range p.channels {
		if channel.ReadyState() == webrtc.DataChannelStateOpen {
			open = append(open, label)
		}
	}
	return map[string]any{"state": p.pc.ConnectionState().String(), "tracks": tracks, "messages": p.messages, "open": open}, nil
}

func (p *pionPeer) close(json.RawMessage) (any, error) {
	if p.pc == nil {
		return nil, nil
	}
	return nil, p.pc.Close()
}
