/**
 * The base images that the tests build on: every Node version that the node template offers, one Python, and what
 * docker-compose.yml and the Dockerfile name.
 */
export const TEST_IMAGES = [
  ...[12, 14, 16, 18, 20, 22, 24].map((major) => `node:${major}-alpine`),
  'python:3.12-slim',
  'node:24-bookworm-slim',
  'nats:2-alpine',
]
