package main

import (
	"errors"
	"io"
	"os"
	"time"

	"github.com/pion/webrtc/v4/pkg/media"
	"github.com/pion/webrtc/v4/pkg/media/ivfreader"
	"github.com/pion/webrtc/v4/pkg/media/oggreader"
)

type writer func(media.Sample) error

// playIvf writes a VP8 file's frames at their rate, over and over, until the track is closed.
func playIvf(file string, write writer) {
	play(file, write, func(in io.Reader) (func() ([]byte, error), time.Duration, error) {
		reader, header, err := ivfreader.NewWith(in)
		if err != nil {
			return nil, 0, err
		}
		each := time.Duration(header.TimebaseNumerator) * time.Second / time.Duration(header.TimebaseDenominator)
		return func() ([]byte, error) { frame, _, err := reader.ParseNextFrame(); return frame, err }, each, nil
	})
}

// playOgg does the same for Opus with one packet of 20 ms a page.
func playOgg(file string, write writer) {
	play(file, write, func(in io.Reader) (func() ([]byte, error), time.Duration, error) {
		reader, _, err := oggreader.NewWith(in)
		if err != nil {
			return nil, 0, err
		}
		return func() ([]byte, error) { page, _, err := reader.ParseNextPage(); return page, err }, 20 * time.Millisecond, nil
	})
}

func play(file string, write writer, open func(io.Reader) (func() ([]byte, error), time.Duration, error)) {
	for {
		in, err := os.Open(file)
		if err != nil {
			return
		}
		next, each, err := open(in)
		if err != nil {
			return
		}
		tick := time.NewTicker(each)
		for range tick.C {
			data, err := next()
			if err != nil {
				break
			}
			if err := write(media.Sample{Data: data, Duration: each}); errors.Is(err, io.ErrClosedPipe) {
				return
			}
		}
		tick.Stop()
		in.Close()
	}
}
