/** An error number of the system, in all its spellings. */
export interface Errno {
  /** As C, Node, Bun and Python write it; Erlang writes it in small letters, Rust its own word. */
  readonly name: string;
  /** Linux's number, as Python (`[Errno 13]`), Rust (`os error 13`), MySQL (`errno: 13`) and C programs (`(13)`) write it. */
  readonly number: number;
  /** What strerror says of it: glibc's in English, German, French, Spanish, Portuguese and Japanese, musl's and others' words. */
  readonly texts: string;
}

/**
 * Linux's error numbers that say why a program failed: names and numbers of include/uapi/asm-generic/errno*.h, texts of glibc's
 * sysdeps/gnu/errlist.h and its message catalogues (po/de, fr, es, pt, pt_BR, ja), Rust's std::io::ErrorKind.
 */
export const ERRNOS = {
  notPermitted: {
    name: "EPERM",
    number: 1,
    texts:
      "operation not permitted | die operation ist nicht erlaubt | operation nicht zulässig | opération non permise | operación no permitida | operação não permitida | 許可されていない操作 | not owner",
  },
  noEntry: {
    name: "ENOENT",
    number: 2,
    texts:
      "no such file or directory | datei oder verzeichnis nicht gefunden | aucun fichier ou dossier | aucun fichier ou répertoire | fichier ou dossier inexistant | no existe el fichero o el directorio | no existe el archivo o el directorio | no existe el fichero o directorio | arquivo ou diretório inexistente | arquivo ou diretório não encontrado | ficheiro ou directoria inexistente | そのようなファイルやディレクトリは",
  },
  io: {
    name: "EIO",
    number: 5,
    texts:
      "input/output error | i/o error | eingabe-/ausgabefehler | erreur d'entrée/sortie | error de entrada/salida | erro de entrada/saída | 入力/出力エラー",
  },
  tooLong: {
    name: "E2BIG",
    number: 7,
    texts:
      "argument list too long | argumentliste ist zu lang | liste d'arguments trop longue | la lista de argumentos es demasiado larga | lista de argumentos muito longa | 引数リストが長すぎ",
  },
  execFormat: {
    name: "ENOEXEC",
    number: 8,
    texts:
      "exec format error | fehler im format der programmdatei | erreur de format pour exec() | format d'exécutable incorrect | formato de ejecutable incorrecto | error en el formato del ejecutable | formato de executável inválido | erro no formato exec | 実行形式エラー",
  },
  again: {
    name: "EAGAIN",
    number: 11,
    texts:
      "resource temporarily unavailable | die ressource ist zur zeit nicht verfügbar | ressource temporairement non disponible | recurso no disponible temporalmente | recurso temporariamente indisponível | リソースが一時的に利用できません",
  },
  noMemory: {
    name: "ENOMEM",
    number: 12,
    texts:
      "cannot allocate memory | out of memory | not enough space/cannot allocate memory | nicht genügend hauptspeicher | kann nicht soviel speicher reservieren | ne peut allouer de la mémoire | impossible d'allouer de la mémoire | no se pudo asignar memoria | não foi possível alocar memória | não é possível alocar memória | メモリを確保できません",
  },
  access: {
    name: "EACCES",
    number: 13,
    texts:
      "permission denied | keine berechtigung | zugriff verweigert | permission non accordée | permission refusée | accès refusé | permiso denegado | acceso denegado | permissão negada | permissão recusada | acesso negado | 許可がありません | アクセスが拒否されました",
  },
  busy: {
    name: "EBUSY",
    number: 16,
    texts:
      "device or resource busy | resource busy | das gerät oder die ressource ist belegt | périphérique ou ressource occupé | dispositivo o recurso ocupado | dispositivo ou recurso está ocupado | dispositivo ou recurso ocupado | デバイスもしくはリソースがビジー",
  },
  exists: {
    name: "EEXIST",
    number: 17,
    texts:
      "file exists | die datei existiert bereits | le fichier existe | el fichero ya existe | el archivo ya existe | arquivo existe | ficheiro já existe | ファイルが存在します",
  },
  noDevice: {
    name: "ENODEV",
    number: 19,
    texts:
      "no such device | kein passendes gerät gefunden | aucun périphérique de ce type | no existe el dispositivo | dispositivo inexistente | そのようなデバイスは",
  },
  notDirectory: {
    name: "ENOTDIR",
    number: 20,
    texts:
      "not a directory | ist kein verzeichnis | n'est pas un répertoire | n'est pas un dossier | no es un directorio | não é um diretório | ディレクトリではありません",
  },
  isDirectory: {
    name: "EISDIR",
    number: 21,
    texts:
      "is a directory | ist ein verzeichnis | est un répertoire | est un dossier | es un directorio | é um diretório",
  },
  systemFiles: {
    name: "ENFILE",
    number: 23,
    texts:
      "too many open files in system | zu viele offene dateien im system | demasiados ficheros abiertos en el sistema",
  },
  files: {
    name: "EMFILE",
    number: 24,
    texts:
      "too many open files | no file descriptors available | zu viele offene dateien | trop de fichiers ouverts | demasiados ficheros abiertos | demasiados archivos abiertos | muitos arquivos abertos | demasiados ficheiros abertos | 開いているファイルが多すぎ | オープンしているファイルが多すぎ",
  },
  textBusy: { name: "ETXTBSY", number: 26, texts: "text file busy | das programm kann nicht | fichier texte occupé" },
  fileTooLarge: {
    name: "EFBIG",
    number: 27,
    texts:
      "file too large | die datei ist zu groß | fichier trop gros | fichero demasiado grande | arquivo muito grande",
  },
  noSpace: {
    name: "ENOSPC",
    number: 28,
    texts:
      "no space left on device | no space left | kein speicherplatz mehr | aucun espace disponible | plus d'espace disponible | plus de place | no queda espacio | não há espaço disponível | não há espaço livre | não há espaço | デバイスに空き領域がありません | 空き領域が",
  },
  readOnly: {
    name: "EROFS",
    number: 30,
    texts:
      "read-only file system | dateisystem ist nur lesbar | accessible en lecture seulement | système de fichiers en lecture seule | sistema de ficheros de sólo lectura | sistema de archivos de solo lectura | sistema de arquivos somente para leitura | sistema de ficheiros só de leitura | 読み込み専用ファイルシステム | 読み取り専用ファイルシステム",
  },
  pipe: {
    name: "EPIPE",
    number: 32,
    texts:
      "broken pipe | datenübergabe unterbrochen | relais brisé | tubería rota | pipe quebrado | パイプが切断されました",
  },
  noSystemCall: {
    name: "ENOSYS",
    number: 38,
    texts:
      "function not implemented | funktion nicht implementiert | fonction non implantée | función no implementada | função não implementada",
  },
  family: {
    name: "EAFNOSUPPORT",
    number: 97,
    texts:
      "address family not supported | adressfamilie wird von der protokollfamilie nicht unterstützt | famille d'adresses non supportée",
  },
  addressInUse: {
    name: "EADDRINUSE",
    number: 98,
    texts:
      "address already in use | address in use | addrinuse | die adresse wird bereits verwendet | adresse wird bereits verwendet | adresse déjà utilisée | la dirección ya se está usando | dirección ya en uso | endereço já em uso | endereço já está em uso | アドレスは既に使用中 | アドレスはすでに使用中",
  },
  addressUnknown: {
    name: "EADDRNOTAVAIL",
    number: 99,
    texts:
      "cannot assign requested address | can't assign requested address | addrnotavailable | angeforderte adresse kann nicht zugewiesen werden | ne peut attribuer l'adresse demandée | impossible d'assigner l'adresse demandée | no se puede asignar la dirección solicitada | não foi possível atribuir o endereço | 要求アドレスに割り当て",
  },
  networkUnreachable: {
    name: "ENETUNREACH",
    number: 101,
    texts:
      "network is unreachable | networkunreachable | das netzwerk ist nicht erreichbar | le réseau n'est pas accessible | la red es inaccesible | a rede está fora de alcance | rede fora de alcance | ネットワークに到達できません | ネットワークに届きません",
  },
  reset: {
    name: "ECONNRESET",
    number: 104,
    texts:
      "connection reset by peer | connectionreset | verbindung wurde vom kommunikationspartner zurückgesetzt | connexion ré-initialisée par le correspondant | connexion réinitialisée par le correspondant | conexión reinicializada por la máquina remota | conexão fechada pela outra ponta | 接続が相手からリセット",
  },
  noBuffers: { name: "ENOBUFS", number: 105, texts: "no buffer space available | kein pufferplatz" },
  timedOut: {
    name: "ETIMEDOUT",
    number: 110,
    texts:
      "connection timed out | die wartezeit für die verbindung ist abgelaufen | connexion terminée par expiration du délai | expiró el tiempo de conexión | tempo esgotado para conexão | conexão expirou | 接続がタイムアウト",
  },
  refused: {
    name: "ECONNREFUSED",
    number: 111,
    texts:
      "connection refused | connectionrefused | verbindungsaufbau abgelehnt | verbindung verweigert | connexion refusée | connection refusée | conexión rehusada | conexión rechazada | conexão recusada | ligação recusada | 接続を拒否されました | 接続が拒否されました",
  },
  hostUnreachable: {
    name: "EHOSTUNREACH",
    number: 113,
    texts:
      "no route to host | hostunreachable | host is unreachable | keine route zum zielrechner | aucun chemin d'accès pour atteindre l'hôte | no existe ninguna ruta hasta | no hay ruta hasta | não há rota para o host | não existe rota para | ホストへの経路がありません",
  },
  badMessage: { name: "EBADMSG", number: 74, texts: "bad message | ungültige nachricht" },
  stale: {
    name: "ESTALE",
    number: 116,
    texts: "stale file handle | stale nfs file handle | veralteter nfs-dateizugriff",
  },
  unclean: {
    name: "EUCLEAN",
    number: 117,
    texts: "structure needs cleaning | die struktur muss bereinigt werden | la estructura necesita una limpieza",
  },
  remoteIo: { name: "EREMOTEIO", number: 121, texts: "remote i/o error" },
  quota: {
    name: "EDQUOT",
    number: 122,
    texts:
      "disk quota exceeded | (quota) ist überschritten | débordement du quota | quota disque dépassé | se ha excedido la cuota | cota de disco excedida | quota de disco excedida | ディスク使用量制限を超過",
  },
  noMedium: { name: "ENOMEDIUM", number: 123, texts: "no medium found | kein medium gefunden" },
} as const satisfies Record<string, Errno>;

/** The texts of a number, apart. */
export const textsOf = ({ texts }: Errno): readonly string[] => texts.split(" | ");

const escaped = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\/]/g, "\\$&");

/** How the number is spelled where its text is not: after a word that says what it is. */
const NUMBERED = [
  "errno ",
  "errno=",
  "errno: ",
  "errno -",
  "errno: -",
  "os error ",
  "errcode: ",
  "err=",
  "err: -",
  "error=-",
  "code: ",
];

/** The literals to look for, in small letters. */
export const literalsOf = (errno: Errno): readonly string[] => [
  ...textsOf(errno),
  errno.name.toLowerCase(),
  ...NUMBERED.map((word) => `${word}${errno.number}`),
  `(${errno.number}: `,
];

/** The expression that knows a number in a line, in each of its spellings. */
export const patternOf = (errno: Errno): string =>
  `${textsOf(errno).map(escaped).join("|")}|\\b${errno.name}\\b|(?<!ERR! )\\b(?:errno|os error|errcode|err(?:or)?=|os \\{ code:)[ :=(-]{0,3}${errno.number}\\b|\\(${errno.number}: [a-z]|\\bcode: -?${errno.number}, kind`;
