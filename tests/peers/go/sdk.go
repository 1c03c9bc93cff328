package main

import (
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/pion/webrtc/v4"
	"github.com/pion/webrtc/v4/pkg/media"
)

// sdkPeer is one participant of LiveKit's Go SDK.
type sdkPeer struct {
	mu     sync.Mutex
	room   *lksdk.Room
	inbox  []map[string]any
	events []string
	tracks map[string]*counter
	pubs   map[string]*lksdk.RemoteTrackPublication
}

func newSDK() *sdkPeer {
	return &sdkPeer{tracks: map[string]*counter{}, pubs: map[string]*lksdk.RemoteTrackPublication{}}
}

func (s *sdkPeer) handlers() map[string]handler {
	return map[string]handler{"join": s.join, "publish": s.publish, "quality": s.quality, "send": s.send, "rpc": s.rpc,
		"text": s.text, "bytes": s.bytes, "stats": s.stats, "reset_gap": s.resetGap, "leave": s.leave, "service": service}
}

func (s *sdkPeer) join(raw json.RawMessage) (any, error) {
	var args struct {
		URL, Token string
		Single     bool
	}
	if err := json.Unmarshal(raw, &args); err != nil {
		return nil, err
	}
	room := lksdk.NewRoom(s.callback())
	s.room = room
	if err := s.register(); err != nil {
		return nil, err
	}
	options := []lksdk.ConnectOption{lksdk.WithAutoSubscribe(true)}
	if args.Single {
		options = append(options, lksdk.WithSinglePeerConnection())
	}
	if err := room.JoinWithToken(args.URL, args.Token, options...); err != nil {
		return nil, err
	}
	return map[string]string{"sid": room.LocalParticipant.SID(), "room": room.SID()}, nil
}

func (s *sdkPeer) note(event string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, event)
}

func (s *sdkPeer) receive(item map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inbox = append(s.inbox, item)
}

func (s *sdkPeer) callback() *lksdk.RoomCallback {
	callback := lksdk.NewRoomCallback()
	callback.OnReconnecting = func() { s.note("reconnecting") }
	callback.OnReconnected = func() { s.note("reconnected") }
	callback.OnDisconnectedWithReason = func(r lksdk.DisconnectionReason) { s.note("disconnected:" + string(r)) }
	callback.OnParticipantConnected = func(p *lksdk.RemoteParticipant) { s.note("joined:" + p.Identity()) }
	callback.OnParticipantDisconnected = func(p *lksdk.RemoteParticipant) { s.note("left:" + p.Identity()) }
	callback.OnDataPacket = func(data lksdk.DataPacket, params lksdk.DataReceiveParams) {
		if user, ok := data.(*lksdk.UserDataPacket); ok {
			s.receive(map[string]any{"kind": "data", "topic": user.Topic, "data": string(user.Payload), "from": params.SenderIdentity})
		}
	}
	callback.OnTrackSubscribed = func(track *webrtc.TrackRemote, pub *lksdk.RemoteTrackPublication, _ *lksdk.RemoteParticipant) {
		c := &counter{Sid: pub.SID(), Kind: track.Kind().String(), Mime: track.Codec().MimeType}
		s.mu.Lock()
		s.tracks[pub.SID()], s.pubs[pub.SID()] = c, pub
		s.mu.Unlock()
		go c.read(track)
	}
	return callback
}

func (s *sdkPeer) register() error {
	if err := s.room.RegisterRpcMethod("echo", func(data lksdk.RpcInvocationData) (string, error) {
		return "echo:" + data.Payload, nil
	}); err != nil {
		return err
	}
	err := s.room.RegisterTextStreamHandler("text", func(reader *lksdk.TextStreamReader, from string) {
		go func() {
			s.receive(map[string]any{"kind": "text", "topic": "text", "data": reader.ReadAll(), "from": from})
		}()
	})
	if err != nil {
		return err
	}
	return s.room.RegisterByteStreamHandler("bytes", func(reader *lksdk.ByteStreamReader, from string) {
		go func() {
			s.receive(map[string]any{"kind": "bytes", "topic": "bytes", "data": string(reader.ReadAll()), "from": from})
		}()
	})
}

func (s *sdkPeer) publish(raw json.RawMessage) (any, error) {
	var args struct {
		Kind   string
		File   string
		Layers []struct {
			File          string
			Width, Height uint32
			Quality       int32
		}
	}
	if err := json.Unmarshal(raw, &args); err != nil {
		return nil, err
	}
	if len(args.Layers) == 0 {
		track, err := looped(args.Kind, args.File)
		if err != nil {
			return nil, err
		}
		source := livekit.TrackSource_MICROPHONE
		if args.Kind == "video" {
			source = livekit.TrackSource_CAMERA
		}
		options := &lksdk.TrackPublicationOptions{Name: args.Kind, Source: source, VideoWidth: 240, VideoHeight: 136}
		return published(s.room.LocalParticipant.PublishTrack(track, options))
	}
	tracks := []*lksdk.LocalTrack{}
	for _, layer := range args.Layers {
		info := &livekit.VideoLayer{Quality: livekit.VideoQuality(layer.Quality), Width: layer.Width, Height: layer.Height}
		track, err := looped("video", layer.File, lksdk.WithSimulcast("simulcast", info))
		if err != nil {
			return nil, err
		}
		tracks = append(tracks, track)
	}
	options := &lksdk.TrackPublicationOptions{Name: "video", Source: livekit.TrackSource_CAMERA}
	return published(s.room.LocalParticipant.PublishSimulcastTrack(tracks, options))
}

func published(pub *lksdk.LocalTrackPublication, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return map[string]string{"sid": pub.SID()}, nil
}

// looped is a local track that plays a file over and over; the SDK's own file track plays it once.
func looped(kind, file string, options ...lksdk.LocalTrackOptions) (*lksdk.LocalTrack, error) {
	codec := webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8, ClockRate: 90000}
	if kind == "audio" {
		codec = webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2}
	}
	track, err := lksdk.NewLocalTrack(codec, options...)
	if err != nil {
		return nil, err
	}
	write := func(sample media.Sample) error { return track.WriteSample(sample, nil) }
	track.OnBind(func() {
		if kind == "audio" {
			go playOgg(file, write)
		} else {
			go playIvf(file, write)
		}
	})
	return track, nil
}

func (s *sdkPeer) quality(raw json.RawMessage) (any, error) {
	var args struct {
		Sid     string
		Quality int32
	}
	if err := json.Unmarshal(raw, &args); err != nil {
		return nil, err
	}
	s.mu.Lock()
	pub := s.pubs[args.Sid]
	s.mu.Unlock()
	if pub == nil {
		return nil, fmt.Errorf("not subscribed to %s", args.Sid)
	}
	return nil, pub.SetVideoQuality(livekit.VideoQuality(args.Quality))
}

func (s *sdkPeer) send(raw json.RawMessage) (any, error) {
	var args struct {
		Data, Topic string
		Reliable    bool
		To          []string
	}
	if err := json.Unmarshal(raw, &args); err != nil {
		return nil, err
	}
	options := []lksdk.DataPublishOption{lksdk.WithDataPublishReliable(args.Reliable), lksdk.WithDataPublishTopic(args.Topic)}
	if len(args.To) > 0 {
		options = append(options, lksdk.WithDataPublishDestination(args.To))
	}
	return nil, s.room.LocalParticipant.PublishDataPacket(&lksdk.UserDataPacket{Payload: []byte(args.Data), Topic: args.Topic}, options...)
}

func (s *sdkPeer) rpc(raw json.RawMessage) (any, error) {
	var args struct{ To, Payload string }
	if err := json.Unmarshal(raw, &args); err != nil {
		return nil, err
	}
	answer, err := s.room.LocalParticipant.PerformRpc(lksdk.PerformRpcParams{DestinationIdentity: args.To, Method: "echo", Payload: args.Payload})
	if err != nil {
		return nil, err
	}
	return map[string]string{"payload": *answer}, nil
}

func (s *sdkPeer) text(raw json.RawMessage) (any, error) {
	var args struct{ Data string }
	if err := json.Unmarshal(raw, &args); err != nil {
		return nil, err
	}
	s.room.LocalParticipant.SendText(args.Data, lksdk.StreamTextOptions{Topic: "text"})
	return nil, nil
}

func (s *sdkPeer) bytes(raw json.RawMessage) (any, error) {
	var args struct{ Data string }
	if err := json.Unmarshal(raw, &args); err != nil {
		return nil, err
	}
	writer := s.room.LocalParticipant.StreamBytes(lksdk.StreamBytesOptions{Topic: "bytes", MimeType: "application/octet-stream", TotalSize: uint64(len(args.Data))})
	done := make(chan struct{})
	finished := func() { close(done) }
	writer.Write([]byte(args.Data), &finished)
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		return nil, fmt.Errorf("the byte stream was not written in 10 s")
	}
	writer.Close()
	return nil, nil
}

func (s *sdkPeer) stats(json.RawMessage) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	tracks, people, published := []any{}, []string{}, []string{}
	for _, c := range s.tracks {
		tracks = append(tracks, c.copy())
	}
	for _, p := range s.room.GetRemoteParticipants() {
		people = append(people, p.Identity())
	}
	for _, p := range s.room.LocalParticipant.TrackPublications() {
		published = append(published, p.SID())
	}
	return map[string]any{"state": string(s.room.ConnectionState()), "sid": s.room.LocalParticipant.SID(), "participants": people,
		"published": published, "tracks": tracks, "inbox": s.inbox, "events": s.events}, nil
}

func (s *sdkPeer) resetGap(json.RawMessage) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.tracks {
		c.resetGap()
	}
	return nil, nil
}

func (s *sdkPeer) leave(json.RawMessage) (any, error) {
	if s.room != nil {
		s.room.Disconnect()
	}
	return nil, nil
}
