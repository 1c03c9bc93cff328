// A <video> for one picture. Attaching tells the library how large it is shown, so that the server
// sends the fitting layer; the track itself is never made again when the layout changes.
import { useEffect, useRef } from 'react';
import type { Picture } from '../client/call/people';

interface VideoViewProps {
  readonly picture: Picture;
  readonly className: string | undefined;
}

export function VideoView({ picture, className }: VideoViewProps) {
  const ref = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    const element = ref.current;
    if (element === null) return undefined;
    picture.attach(element);
    return () => {
      picture.detach(element);
    };
  }, [picture]);
  return <video ref={ref} className={className} autoPlay playsInline muted aria-hidden />;
}
