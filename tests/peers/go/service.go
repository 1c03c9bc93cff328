package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"
)

// service runs those of the Go SDK's server calls that are named, in this order, and says what each gave.
func service(raw json.RawMessage) (any, error) {
	var args struct {
		URL, Key, Secret, Room, Identity, Track string
		Only                                    []string
	}
	if err := json.Unmarshal(raw, &args); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	client := lksdk.NewRoomServiceClient(args.URL, args.Key, args.Secret)
	who := &livekit.RoomParticipantIdentity{Room: args.Room, Identity: args.Identity}
	topic := "from-server"
	steps := []struct {
		name string
		call func() error
	}{
		{"create_room", func() error {
			room, err := client.CreateRoom(ctx, &livekit.CreateRoomRequest{Name: args.Room + "-other", Metadata: "made"})
			if err == nil && room.Metadata != "made" {
				return fmt.Errorf("metadata %q", room.Metadata)
			}
			return err
		}},
		{"list_rooms", func() error {
			list, err := client.ListRooms(ctx, &livekit.ListRoomsRequest{Names: []string{args.Room}})
			if err == nil && len(list.Rooms) != 1 {
				return fmt.Errorf("%d rooms", len(list.Rooms))
			}
			return err
		}},
		{"list_participants", func() error {
			list, err := client.ListParticipants(ctx, &livekit.ListParticipantsRequest{Room: args.Room})
			if err == nil && len(list.Participants) == 0 {
				return fmt.Errorf("nobody listed")
			}
			return err
		}},
		{"get_participant", func() error { _, err := client.GetParticipant(ctx, who); return err }},
		{"mute_track", func() error {
			_, err := client.MutePublishedTrack(ctx, &livekit.MuteRoomTrackRequest{Room: args.Room, Identity: args.Identity, TrackSid: args.Track, Muted: true})
			return err
		}},
		{"update_participant", func() error {
			info, err := client.UpdateParticipant(ctx, &livekit.UpdateParticipantRequest{Room: args.Room, Identity: args.Identity, Metadata: "updated"})
			if err == nil && info.Metadata != "updated" {
				return fmt.Errorf("metadata %q", info.Metadata)
			}
			return err
		}},
		{"update_room_metadata", func() error {
			_, err := client.UpdateRoomMetadata(ctx, &livekit.UpdateRoomMetadataRequest{Room: args.Room, Metadata: "new"})
			return err
		}},
		{"send_data", func() error {
			_, err := client.SendData(ctx, &livekit.SendDataRequest{Room: args.Room, Data: []byte("hello"), Kind: livekit.DataPacket_RELIABLE, Topic: &topic})
			return err
		}},
		{"remove_participant", func() error { _, err := client.RemoveParticipant(ctx, who); return err }},
		{"delete_room", func() error {
			_, err := client.DeleteRoom(ctx, &livekit.DeleteRoomRequest{Room: args.Room + "-other"})
			return err
		}},
	}
	result := map[string]string{}
	for _, step := range steps {
		if !slices.Contains(args.Only, step.name) {
			continue
		}
		result[step.name] = "ok"
		if err := step.call(); err != nil {
			result[step.name] = err.Error()
		}
	}
	return result, nil
}
