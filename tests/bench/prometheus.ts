import { join } from "node:path";

/** The smallest that it takes: nobody is told. */
export const ALERTMANAGER_CONFIG = "route: { receiver: nobody }\nreceivers: [{ name: nobody }]\n";

/** Where Debian's package has put it; null where it is not installed. */
export function alertmanagerPath(): string | null {
  return Bun.which("prometheus-alertmanager");
}

/** How it is run: as by Debian's package but on loopback, with its files in `dir`, `alertmanager.yml` among them. */
export function alertmanagerCommand(options: { program: string; dir: string; port: number; clusterPort: number }) {
  const { program, dir, port, clusterPort } = options;
  return [
    program,
    `--config.file=${join(dir, "alertmanager.yml")}`,
    `--storage.path=${join(dir, "alertmanager")}`,
    `--web.listen-address=127.0.0.1:${port}`,
    `--cluster.listen-address=127.0.0.1:${clusterPort}`,
  ];
}
