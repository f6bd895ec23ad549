import { rulesOf, words } from "./rule.ts";

const FIX =
  "Save the data first. Look at the device with `smartctl -a` and `journalctl -k`, at cable and controller; replace the device that reports errors, check the file system while it is unmounted, then bring {source} back.";

/** Disk or memory hardware that fails, I/O errors, a file system gone read-only after errors. */
export const HARDWARE_IO = rulesOf("hardware_io", FIX, [
  {
    id: "block-io-error",
    any: words(`
      i/o error, dev | buffer i/o error | blk_update_request | end_request: | critical medium error
      critical target error | unrecovered read error | medium error | media error | lost page write
      lost async page write | print_req_error | unrecoverable read error | uncorrectable | hardware error | sense key
      add. sense | i/o error | rejecting i/o to offline device | rejecting i/o to dead device | device offlined
      task abort | hostbyte=did_bad_target | hostbyte=did_no_connect | error transferring data | card did not respond
      mmc0: timeout | io error | read error
    `),
    when: /I\/O error[, ]{1,3}(?:dev|on dev|\(?device)|buffer I\/O error|(?:blk_update_request|end_request|print_req_error): .{0,20}(?:I\/O|critical|error)|critical (?:medium|target)|unrecover(?:ed|able) read|med(?:ium|ia) error|lost (?:async )?page write|uncorrectable (?:ecc |media |error|sector|memory)|hardware error|sense key ?: ?(?:0x3|0x4|medium|hardware)|rejecting I\/O|offlined|DID_(?:BAD_TARGET|NO_CONNECT)|transferring data|card did not respond|mmc\d: timeout|(?:kernel|sd[a-z]|nvme|dm-|md\d|loop).{0,80}(?:I\/O|IO|read) error/i,
    not: /uncorrectable[_ ](?:error_count|sector_ct|errors?)?:? ?0\b|media error.{0,8}: ?0\b|no errors/i,
    tier: "root",
    cause:
      "The kernel reports I/O errors of the device {device|in the line}: the disk, its cable or its controller fails.",
  },
  {
    id: "ata-error",
    any: words(`
      exception emask | failed command: read | failed command: write | { drdy err } | error: { unc | error: { icrc
      hard resetting link | ata bus error | comreset failed | { unc } | link is slow to respond
      failed command: flush | softreset failed | srst failed
    `),
    tier: "root",
    cause: "The disk or its SATA link reports errors.",
  },
  {
    id: "smart-failing",
    any: words(`
      smart | offline uncorrectable sectors | currently unreadable (pending) sectors | failed smart self-check
      smart failure | predictive failure | prefailure | self-test: failed | reallocated_sector | smart overall-health
      back up data now | current_pending_sector
    `),
    when: /unreadable \(pending\)|uncorrectable sectors|SMART (?:failure|error|status|self-check|health|overall|usage attribute|prefailure)?.{0,60}(?:fail|exceed|bad|back up)|predictive failure|self-test: failed|pending_sector.{0,60}[1-9]|BACK UP DATA|(?:ATA error count increased)/i,
    not: /passed|smartctl not found/i,
    tier: "root",
    cause: "The disk's own diagnosis (SMART) says that it is failing.",
  },
  {
    id: "nvme-failing",
    any: words(`nvme`),
    when: /controller is down|I\/O \d{1,6}.{0,40}timeout|device not ready|critical warning|failed to set features|removing after probe failure|resetting controller|media_errors.{0,4}[1-9]|Abort status|spare (?:capacity )?(?:below|has fallen)|reliability is degraded|i\/o error|identify controller failed/i,
    not: /no such|permission/i,
    tier: "root",
    cause: "The NVMe drive {device|} does not answer, or reports errors.",
  },
  {
    id: "memory-hardware",
    any: words(`
      machine check | mce: [hardware error] | edac | uncorrected error | memory failure: | corrected error
      hardware memory error | ecc error | memory scrubbing error | aer: | pcie bus error | [hardware error]
      uncorrectable memory | general hardware
    `),
    when: /machine check|hardware error|EDAC .{0,80}(?:\bUE\b|\bCE\b|error)|uncorrect|memory failure|ECC error|PCIe Bus Error|memory scrubbing/i,
    not: /edac (?:mc: )?ver|giving out device|corrected error\(s\): 0|machine check: .{0,20}support/i,
    tier: "root",
    cause: "The host reports errors of its memory, processor or bus.",
    fix: "Look at `ras-mc-ctl --errors` or `journalctl -k`, move the work of {source} to another host, then test and replace the memory module or card that the line names.",
  },
  {
    id: "read-only-after-error",
    any: words(`
      remounting filesystem read-only | remounted read-only | forced readonly | filesystem is read-only due to
      aborting journal | detected aborted journal | journal has aborted | shutting down filesystem | log i/o error
      metadata i/o error | xfs_do_force_shutdown | i/o error detected | forced shutdown | jbd2: error
      jbd2: i/o error | aborted journal | previous i/o error to superblock | ext4-fs error | ext3-fs error
      btrfs error | switching to read-only
    `),
    when: /read-?only|journal|shutting down file|I\/O error|force.?d? ?_?shutdown|superblock detected|ext[34]-fs error .{0,160}(?:reading|cannot read|journal|io error|i\/o)|btrfs.{0,60}(?:error.{0,10}readonly|errs: wr [1-9]|bdev .{1,60}errs)/i,
    not: /corruption of in-memory/i,
    tier: "cause",
    cause: "The file system {device|of the host} was switched to read-only after errors below it.",
  },
  {
    id: "read-only-file-system",
    any: words(`
      read-only file system | erofs | readonly file system | os error 30 | errno 30 | filesystem is read-only
      (errcode: 30
    `),
    when: /read-?only file ?system|\bEROFS\b|os error 30|errno 30|errcode: 30|filesystem is read-only/i,
    not: /\/sys\/|\/proc\/|container|--read-only|readOnlyRootFilesystem|sysctl|ProtectSystem|oci runtime|\/etc\/resolv|entrypoint/i,
    tier: "likely",
    cause: "The file system {path|of {source}} is read-only; as a rule the kernel made it so after disk errors.",
    fix: "See why with `journalctl -k` and `findmnt`: after disk errors check the device with `smartctl -a` and the file system while unmounted; if it is mounted so on purpose, give {source} a place that it may write to. Then {restart}.",
  },
  {
    id: "input-output-error",
    any: words(`
      input/output error | errno 5 | error -5 | os error 5 | (errcode: 5 | errno: 5 | eio | eio:
      eingabe-/ausgabefehler | stale file handle | structure needs cleaning | remote i/o error | eremoteio | errno=5
      error = 5
    `),
    when: /input\/output error|errno[:= ]{1,2}5\b|error -5\b|os error 5\b|errcode: 5\b|\bEIO\b|ausgabefehler|remote i\/o|jdwp|error = 5\b/i,
    not: /pty|tty|ioctl|ptmx/i,
    tier: "cause",
    cause: "{source} got an input/output error from {path|its disk}: the device or its connection fails.",
  },
  {
    id: "raid-degraded",
    any: words(`
      disk failure on | raid | degraded | fail event on | degradedarray | device has been kicked | faulted
      one or more devices | mdadm | multipath | lost device | zpool | vdev
    `),
    when: /disk failure on|fail ?event|degradedarray|raid.{0,80}(?:degraded|failed|not enough)|kicked|(?:pool|vdev|zpool|device).{0,80}(?:faulted|degraded|unavail|has experienced an (?:unrecoverable )?error|removed)|one or more devices (?:has|could|are)|remaining active paths: 0|not enough operational/i,
    not: /degraded (?:state|performance)|systemd.{0,40}degraded|using degraded feature set|state: online|cluster/i,
    tier: "cause",
    cause: "A disk of an array or pool failed.",
    fix: "See which disk with `cat /proc/mdstat`, `mdadm --detail` or `zpool status -v`. Replace it and let the array rebuild before you put load on {source} again.",
  },
  {
    id: "usb-power-thermal",
    any: words(`
      usb disconnect | device descriptor read | device not accepting address | under-voltage detected | undervoltage
      temperature above threshold | critical temperature reached | thermal | power supply | xhci_hcd
      link is down | nic link is down | tx hang | detected hardware unit hang | netdev watchdog | transmit queue
      fallen off the bus | xid (
    `),
    when: /descriptor read.{0,40}error|not accepting address|under-?voltage detected|critical temperature|thermal.{0,60}(?:shutdown|critical)|temperature above threshold|(?:host controller not responding|HC died)|unit hang|NETDEV WATCHDOG|fallen off the bus|Xid \(|usb disconnect/i,
    tier: "likely",
    cause: "The host reports trouble with a device: power, temperature, bus or link.",
  },
]);
