#!/usr/bin/env node
// A web service as people write it with node:http, and two bad habits on request:
// server.mjs -port=8086 [--ignore-term] [--drop-kept]
import http from 'node:http';

const given = process.argv.slice(2);
const port = Number(given.find((argument) => argument.startsWith('-port='))?.slice('-port='.length));

const pattern = (length) => Buffer.from(Array.from({ length }, (_, position) => position % 251));

function stream(response, url) {
  const chunks = Number(url.searchParams.get('chunks'));
  const pause = Number(url.searchParams.get('ms')) / chunks;
  let chunk = 0;
  const timer = setInterval(() => {
    response.write(`chunk ${chunk}\n`);
    chunk += 1;
    if (chunk === chunks) {
      clearInterval(timer);
      response.end('end of stream\n');
    }
  }, pause);
}

const server = http.createServer((request, response) => {
  const url = new URL(request.url, 'http://localhost');
  if (given.includes('--drop-kept')) {
    // The answer does not say that it is the last one.
    request.socket.answers = (request.socket.answers ?? 0) + 1;
    if (request.socket.answers > 1) {
      request.socket.destroy();
      return;
    }
  }
  response.setHeader('x-instance', port);
  switch (url.pathname) {
    case '/':
      response.end('hello from the fixture\n');
      break;
    case '/big':
      response.end(pattern(Number(url.searchParams.get('bytes'))));
      break;
    case '/echo':
      request.pipe(response);
      break;
    case '/stream':
      stream(response, url);
      break;
    default:
      response.writeHead(404).end();
  }
});

process.on('SIGTERM', () => {
  if (!given.includes('--ignore-term')) {
    server.close(() => process.exit(0));
  }
});

server.listen(port, '127.0.0.1', () => console.log(`node ${process.version} listens on ${port}`));
