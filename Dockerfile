# The gateway as a container, for docker-compose.yml. It builds with BuildKit and with the classic builder.
FROM node:24-bookworm-slim AS build
WORKDIR /src
COPY package.json package-lock.json ./
COPY scripts/bootstrap scripts/bootstrap
RUN node -e "import('./scripts/bootstrap/dependencies.mjs').then(({ ensureDependencies }) => ensureDependencies('/src'))"
COPY . .
RUN node scripts/build.mjs
# What runs: the bundle, and the one package with native code.
RUN mkdir -p /out/node_modules/better-sqlite3/build/Release /out/src/registry \
 && cp -R package.json LICENSE bin dist stack.schema.json templates /out/ \
 && cp -R src/registry/migrations /out/src/registry/ \
 && cp -R node_modules/bindings node_modules/file-uri-to-path /out/node_modules/ \
 && cd node_modules/better-sqlite3 \
 && cp -R package.json lib /out/node_modules/better-sqlite3/ \
 && cp build/Release/better_sqlite3.node /out/node_modules/better-sqlite3/build/Release/ \
 && find /out -name '*.map' -delete \
 && node -e "new (require('/out/node_modules/better-sqlite3'))(':memory:').close()"

FROM node:24-bookworm-slim
COPY --from=build /out /faasdock
# /data may belong to root and to the user `node` (README.md: who the gateway runs as).
RUN ln -s /faasdock/bin/faasdock.js /usr/local/bin/faasdock && mkdir -m 700 /data && chown node:node /data
ENV NODE_ENV=production \
    FAASDOCK_HOST=0.0.0.0 \
    FAASDOCK_PORT=8080 \
    FAASDOCK_DATA=/data \
    FAASDOCK_STOP_FUNCTIONS=true
EXPOSE 8080 8082
HEALTHCHECK --interval=10s --timeout=5s --retries=6 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8080/healthz').then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["faasdock"]
CMD ["serve"]
