/** The text of a regular expression, whose backslashes stay as they are. */
const regex = String.raw;

/** What a suggested command must not hold, and how it is said. */
interface Danger {
  readonly pattern: RegExp;
  readonly why: string;
}

const INTERPRETER = regex`(?:\S{0,100}\/)?(?:env[ \t]+)?(?:(?:ba|z|k|da|fi|c|tc)?sh|python[\d.]{0,5}|perl|ruby|node|bun|deno|php|lua|pwsh|psql|mysql|mariadb|sqlite3|xargs|parallel)\b`;

const DANGERS: readonly Danger[] = [
  { pattern: /[a-z][a-z0-9+.-]{0,20}:\/\/|\bwww\./i, why: "it has a URL" },
  {
    pattern: /\b(?:curl|wget|fetch|aria2c|nc|ncat|netcat|socat|telnet|ftp|sftp|scp|rsync|ssh)\b/i,
    why: "it talks to the network",
  },
  {
    pattern: new RegExp(regex`\|&?[ \t]{0,20}(?:sudo[ \t]+(?:-\S+[ \t]+(?:\w+[ \t]+)?)*)?${INTERPRETER}`, "i"),
    why: "it has a pipe into an interpreter",
  },
  {
    pattern: /\b(?:ba|z|k|da|c)?sh[ \t]+-\w*c|\b(?:python[\d.]*|perl|ruby|node|bun|deno|php|lua)[ \t]+-\w*[cer]\b/i,
    why: "it runs a program given as text",
  },
  { pattern: /\b(?:eval|exec|source)\b|(?:^|[ \t])\.[ \t]+\/|\bbase64\b|\bxxd\b/i, why: "it runs hidden commands" },
  { pattern: /\$\(|`|<\(|\$\{|\$IFS|<</, why: "it has a command inside a command" },
  { pattern: /[\r\n]/, why: "it is more than one line" },
  {
    pattern: /\bkill(?:all)?\b[^|;&]{0,40}-(?:s[ \t]*)?(?:9|KILL|SIGKILL)\b|\b(?:pkill|killall|xkill)\b/i,
    why: "it kills processes by force",
  },
  {
    pattern:
      /\bchmod\b[^|;&]{0,60}(?:[0-7]?[0-7][0-7][2367]\b|\b(?:a|o|ugo|go)?\+\w{0,3}w|\b[ao]=\w{0,3}w|[ \t]\+\w{0,3}w|\+\w{0,3}s\b|\b[4267][0-7]{3}\b)/i,
    why: "it opens files to everybody",
  },
  {
    pattern:
      /(?:^|[\s;&|(/])(?:rm|rmdir|unlink|shred|srm|wipe)(?:[\s;&|]|$)|[ \t]-delete\b|\btruncate\b|\bfind\b.{0,200}-exec/i,
    why: "it deletes files",
  },
  {
    pattern:
      /\bmkfs\b|\bmke2fs\b|\bwipefs\b|\b[fsg]disk\b|\bparted\b|\bmkswap\b|\bblkdiscard\b|\b(?:lv|vg|pv)remove\b|\bhdparm\b/i,
    why: "it formats or partitions disks",
  },
  { pattern: /(?:^|[\s;&|(/])dd(?:[\s;&|]|$)/i, why: "it writes to disks directly" },
  {
    pattern:
      /\b(?:drop|truncate|alter)[ \t]+(?:table|database|schema|user|role|index|view)\b|\bdelete[ \t]+from\b|\bflush(?:all|db)\b|\bdropDatabase\b|\bupdate[ \t]+\S+[ \t]+set\b/i,
    why: "it changes or deletes data",
  },
  {
    pattern:
      /\bsetenforce\b|\bSELINUX[ \t]*=|\baa-(?:disable|teardown|complain)\b|\bapparmor\b.{0,60}(?:stop|disable|mask)|(?:stop|disable|mask)\b.{0,60}\b(?:apparmor|firewalld|ufw|nftables|iptables|fail2ban|auditd)\b|\bufw[ \t]+(?:--force[ \t]+)?(?:disable|reset)\b|\b(?:ip6?tables|nft)\b.{0,60}(?:[ \t]-F\b|[ \t]-X\b|--flush|\bflush\b|-P[ \t]+\w+[ \t]+ACCEPT)|(?<!\S)(?:--insecure|--no-check-certificate|--no-verify|--allow-unauthenticated|--privileged|--nogpgcheck|--no-gpg-check)\b|\bno_root_squash\b|\btrust\b.{0,30}pg_hba/i,
    why: "it switches off security",
  },
  { pattern: /(?<![0-9&])[0-9]?>{1,2}[ \t]*(?!&|\/dev\/null\b)\S/, why: "it overwrites a file" },
  { pattern: /\btee\b(?![ \t]+\/dev\/null)/i, why: "it overwrites a file" },
  {
    pattern:
      /(?:^|[\s;&|])(?:reboot|shutdown|halt|poweroff|telinit|init[ \t]+[0-6])(?:[\s;&|]|$)|\bsystemctl[ \t]+(?:-\S+[ \t]+)*(?:reboot|poweroff|halt|rescue|emergency|kexec)\b/i,
    why: "it stops the host",
  },
  {
    pattern:
      /\b(?:docker|podman)\b.{0,60}\b(?:prune|rm|rmi|kill)\b|\bdocker[ -]compose\b.{0,60}\bdown\b|\bkubectl\b.{0,60}\b(?:delete|drain)\b|\b(?:user|group)del\b|\bcrontab[ \t]+-r\b|\bgit\b.{0,60}(?:reset|clean|push)\b|\b(?:apt|apt-get|yum|dnf|zypper|apk|pacman)\b.{0,60}\b(?:remove|purge|autoremove|erase|del|-R\w*)\b/i,
    why: "it removes things",
  },
  {
    pattern: /\bpasswd\b(?!:)|\bchpasswd\b|\bvisudo\b|\/etc\/(?:shadow|sudoers)|\bauthorized_keys\b/i,
    why: "it changes who may log in",
  },
  { pattern: /\(\)[ \t]{0,10}\{/, why: "it defines a function" },
];

/** In a chain the second command runs whatever the first one showed: then these are too much. */
const CHAIN = /;|&&|\|\||(?<!&)&(?![&>\d])/;
const RISKY_IN_CHAIN =
  /\b(?:stop|kill|disable|mask|remove|delete|drop|reset|purge|prune|mv|chown|chmod|chattr|mount|umount|swapoff|install|upgrade|force|fsck|resetwal|pg_resetwal|repair)\b|[ \t]-f\b|--force\b/i;

/**
 * Why a model's command must not even be shown; null when there is no reason. It is never run: this keeps an operator from
 * copying what does harm. Quotes and backslashes are taken out first, since a shell does the same (`r""m`).
 */
export function dangerOf(command: string): string | null {
  const bare = command.replaceAll(/["'\\]/g, "");
  for (const { pattern, why } of DANGERS) if (pattern.test(command) || pattern.test(bare)) return why;
  return CHAIN.test(bare) && RISKY_IN_CHAIN.test(bare) ? "it is a chain of commands with a risky one" : null;
}
