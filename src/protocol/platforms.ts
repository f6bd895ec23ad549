/** What executables are built for; `baseline` is for processors without AVX2. */
export const PLATFORMS = ["linux-x64", "linux-x64-baseline", "linux-arm64"] as const;
export type Platform = (typeof PLATFORMS)[number];

/** Where a server hands out executables. */
export const DOWNLOAD_PATH = "/download";
/** Where it hands out the script that installs an agent. */
export const INSTALL_PATH = "/install.sh";

/** True for a platform that executables are built for. */
export function isPlatform(name: string): name is Platform {
  return (PLATFORMS as readonly string[]).includes(name);
}

/** What the executable for a platform is called, where it is handed out and where it is built. */
export function executableName(platform: Platform): string {
  return `opspilot-${platform}`;
}
