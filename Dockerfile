# The version is that of "packageManager" in package.json.
FROM oven/bun:1.4.5 AS build
WORKDIR /build
COPY package.json bun.lock bunfig.toml ./
COPY .patches .patches
RUN bun install --frozen-lockfile --production
COPY . .
RUN bun run build

FROM debian:bookworm-slim
RUN useradd --system --user-group --home-dir /var/lib/opspilot --create-home --shell /usr/sbin/nologin opspilot \
  && chmod 0700 /var/lib/opspilot
COPY --from=build /build/dist/opspilot /usr/local/bin/opspilot

USER opspilot
WORKDIR /var/lib/opspilot
# Without DATABASE_URL the built-in PostgreSQL keeps its data here.
ENV OPSPILOT_DATA_DIR=/var/lib/opspilot
VOLUME /var/lib/opspilot
EXPOSE 8080

# bash can open sockets, so the image needs no curl. With TLS only the port is tried.
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s CMD ["bash", "-c", "\
  exec 3<>/dev/tcp/127.0.0.1/${PORT:-8080} || exit 1; [ -z \"$TLS_CERT\" ] || exit 0; \
  printf 'GET /healthz HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' >&3; \
  read -r _ status _ <&3; [ \"$status\" = 200 ]"]
ENTRYPOINT ["opspilot"]
CMD ["serve"]
