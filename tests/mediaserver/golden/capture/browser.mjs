// Captures offers of a real browser for the golden transcripts of negotiation.
// Run once by hand, results are committed: node browser.mjs chromium|firefox OUT_DIR
import fs from 'node:fs';
import http from 'node:http';
import puppeteer from 'puppeteer-core';

const [which, out] = process.argv.slice(2);
const flags = ['--no-sandbox', '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream',
  '--allow-loopback-in-peer-connection', '--disable-features=WebRtcHideLocalIpsWithMdns'];
const options = which === 'chromium'
  ? { executablePath: '/usr/bin/chromium', args: flags }
  : { browser: 'firefox', executablePath: '/usr/bin/firefox-esr', extraPrefsFirefox: {
      'media.navigator.streams.fake': true, 'media.navigator.permission.disabled': true,
      'media.peerconnection.ice.loopback': true, 'media.peerconnection.ice.obfuscate_host_addresses': false } };

async function inPage(name) {
  const pc = new RTCPeerConnection();
  const media = async () => {
    const s = await navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 1280, height: 720 } });
    return [s.getAudioTracks()[0], s.getVideoTracks()[0]];
  };
  const channels = () => {
    pc.createDataChannel('_lossy', { ordered: false, maxRetransmits: 0 });
    pc.createDataChannel('_reliable', { ordered: true });
    pc.createDataChannel('_data_track', { ordered: false, maxRetransmits: 0 });
  };
  const layers = [
    { rid: 'q', scaleResolutionDownBy: 4, maxBitrate: 160000 },
    { rid: 'h', scaleResolutionDownBy: 2, maxBitrate: 450000 },
    { rid: 'f', maxBitrate: 1700000 }];
  if (name === 'single_first' || name === 'single_publish') {
    channels();
    for (let i = 0; i < 3; i++) pc.addTransceiver('audio', { direction: 'recvonly' });
    for (let i = 0; i < 3; i++) pc.addTransceiver('video', { direction: 'recvonly' });
  }
  if (name === 'single_publish' || name === 'dual_publish') {
    if (name === 'dual_publish') channels();
    const [a, v] = await media();
    pc.addTransceiver(a, { direction: 'sendonly' });
    pc.addTransceiver(v, { direction: 'sendonly', sendEncodings: layers });
  }
  if (name === 'svc') {
    const [, v] = await media();
    const t = pc.addTransceiver(v, { direction: 'sendonly', sendEncodings: [{ scalabilityMode: 'L3T3_KEY' }] });
    const vp9 = RTCRtpReceiver.getCapabilities('video').codecs.filter((c) => /vp9|av1|rtx/i.test(c.mimeType));
    t.setCodecPreferences?.(vp9);
  }
  if (name === 'whip') {
    const [a, v] = await media();
    pc.addTransceiver(a, { direction: 'sendonly' });
    pc.addTransceiver(v, { direction: 'sendonly' });
  }
  if (name === 'whep') {
    pc.addTransceiver('audio', { direction: 'recvonly' });
    pc.addTransceiver('video', { direction: 'recvonly' });
  }
  if (name === 'data') channels();
  const offer = await pc.createOffer();
  await pc.setLocalDescription(offer);
  await new Promise((done) => {
    if (pc.iceGatheringState === 'complete') done();
    pc.onicegatheringstatechange = () => pc.iceGatheringState === 'complete' && done();
    setTimeout(done, 3000);
  });
  return { created: offer.sdp, gathered: pc.localDescription.sdp };
}

const server = http.createServer((_, res) => res.setHeader('content-type', 'text/html').end('<p>x')).listen(0, '127.0.0.1');
const browser = await puppeteer.launch({ headless: true, ...options });
const version = await browser.version();
const result = { client: which, version, offers: {} };
for (const name of ['single_first', 'single_publish', 'dual_publish', 'svc', 'whip', 'whep', 'data']) {
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  const { gathered } = await page.evaluate(inPage, name);
  result.offers[name] = gathered;
  await page.close();
}
await browser.close();
server.close();
fs.writeFileSync(`${out}/${which}.json`, JSON.stringify(result, null, 1) + '\n');
