// How loud a microphone is, 0 to 1, once per animation frame. One AudioContext for the whole page.
// The listener writes a CSS variable; nothing here goes through a store.

let shared: AudioContext | null = null;

/** Decibels below full scale that count as silence on the meter; speech sits around -30. */
const FLOOR_DB = -60;

export function startMeter(track: MediaStreamTrack, listener: (level: number) => void): () => void {
  shared ??= new AudioContext();
  const context = shared;
  // A context made before the first gesture starts suspended; each new meter tries again.
  if (context.state === 'suspended') context.resume().catch(() => undefined);
  const source = context.createMediaStreamSource(new MediaStream([track]));
  const analyser = new AnalyserNode(context, { fftSize: 512 });
  source.connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  let frame = requestAnimationFrame(function step() {
    analyser.getFloatTimeDomainData(samples);
    listener(loudness(samples));
    frame = requestAnimationFrame(step);
  });
  return () => {
    cancelAnimationFrame(frame);
    source.disconnect();
    listener(0);
  };
}

export function loudness(samples: Float32Array): number {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  const decibels = 10 * Math.log10(sum / samples.length + 1e-12);
  return Math.min(1, Math.max(0, 1 - decibels / FLOOR_DB));
}

/** Two soft tones, so that a speaker can be recognised without startling anybody. */
export async function playTestSound(sinkId: string): Promise<void> {
  const context = new AudioContext(sinkId === '' ? {} : ({ sinkId } as AudioContextOptions));
  await context.resume();
  const gain = new GainNode(context, { gain: 0 });
  gain.connect(context.destination);
  const start = context.currentTime + 0.05;
  for (const [index, frequency] of [523.25, 659.25].entries()) {
    const tone = new OscillatorNode(context, { frequency });
    tone.connect(gain);
    tone.start(start + index * 0.25);
    tone.stop(start + index * 0.25 + 0.25);
  }
  gain.gain.setTargetAtTime(0.2, start, 0.03);
  gain.gain.setTargetAtTime(0, start + 0.42, 0.05);
  setTimeout(() => void context.close(), 1_000);
}
