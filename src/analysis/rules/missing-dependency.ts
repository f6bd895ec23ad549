import { rulesOf, words } from "./rule.ts";

const FIX =
  "Install {module|the missing module} in the environment that {source} runs in (the image, the virtual environment, the host), in the version it expects, then {restart}.";

/** A module, package, gem, jar or shared library is not found or cannot be loaded. */
export const MISSING_DEPENDENCY = rulesOf("missing_dependency", FIX, [
  {
    id: "node-module",
    any: words(`
      cannot find module | cannot find package | err_module_not_found | module not found: error
      could not resolve module
    `),
    when: /cannot find (?:module|package) ['"](?<module>(?!\/)[^'"]{1,160})['"]|module not found: error|could not resolve module/i,
    not: /cannot find module '\/(?!.{0,160}node_modules)/i,
    tier: "root",
    cause: "The Node program {source} cannot find the module {module|that it needs}.",
    fix: "Install the packages of {source} where it runs (`npm ci`), or rebuild its image; {module|the module} must stand in package.json's dependencies. Then {restart}.",
  },
  {
    id: "node-module-code",
    any: words(`module_not_found`),
    tier: "symptom",
    cause: "The Node program {source} cannot find a module or file that it needs.",
  },
  {
    id: "python-module",
    any: words(`modulenotfounderror | no module named | importerror`),
    when: /no module named ['"]?(?<module>[\w.-]{1,120})|importerror: (?:cannot import|dll|lib|.{0,120}shared object)|ModuleNotFoundError/i,
    not: /optional|skipping/i,
    tier: "root",
    cause: "Python cannot import {module|a module} that {source} needs.",
    fix: "Install {module|the module} in the interpreter that {source} uses (`python -m pip install` in its virtual environment, or the image), then {restart}.",
  },
  {
    id: "shared-library",
    any: words(`
      error while loading shared libraries | cannot open shared object file | library not loaded
      unable to load dynamic library | unable to load library | error loading shared library | error relocating
      undefined symbol | unsatisfiedlinkerror | dllnotfoundexception | cannot load shared object
      could not load library | could not open shared object
    `),
    not: /glibc|version `|wrong elf class|nvidia-ml.{0,40}skip/i,
    when: /library|shared|symbol|relocating|DllNotFound/i,
    exitCodes: [127],
    tier: "root",
    cause: "{source} cannot load the shared library {module|that it needs}.",
    fix: "See what is missing with `ldd` on the program, install the package that brings {module|the library} (then `ldconfig`), and {restart} ({source}).",
  },
  {
    id: "java-class",
    any: words(`
      java.lang.noclassdeffounderror | java.lang.classnotfoundexception | classnotfoundexception
      noclassdeffounderror | could not find artifact | could not resolve dependencies
    `),
    when: /(?:ClassNotFoundException|NoClassDefFoundError):? (?:could not initialize class )?(?<module>[\w.$/]{1,160})|could not (?:find artifact|resolve dependencies)|ClassNotFound|NoClassDef/i,
    not: /could not initialize class/i,
    tier: "cause",
    cause: "Java cannot find the class {module|that {source} needs}: a jar is missing from its class path.",
  },
  {
    id: "ruby-gem",
    any: words(`
      bundler::gemnotfound | could not find gem | gem::loaderror | gem::missingspecerror | cannot load such file --
      could not find | bundler: failed to load command | bundler::loaderror | is not part of the bundle
    `),
    when: /GemNotFound|could not find gem|Gem::(?:Load|MissingSpec)|cannot load such file -- (?<module>[^/\s][\w/.-]{0,120})|could not find \S{1,80} in (?:any of the sources|locally installed gems)|Bundler::LoadError|not part of the bundle/i,
    tier: "cause",
    cause: "Ruby cannot find a gem or file that {source} needs: {module|see the line}.",
    fix: "Run `bundle install` in the environment of {source} or rebuild its image, so that the gems of its Gemfile.lock are there, then {restart}.",
  },
  {
    id: "perl-module",
    any: words(`can't locate | you may need to install the`),
    when: /can't locate (?<module>[\w/:]{1,120})(?:\.pm)? in @inc/i,
    tier: "root",
    cause: "Perl cannot find the module {module|that {source} needs}.",
  },
  {
    id: "php-extension",
    any: words(`
      class " | class ' | call to undefined function | vendor/autoload.php | could not find driver | requires ext-
      php extension | extension is missing | requires the | interface "
    `),
    when: /class ['"].{1,160}['"] not found|call to undefined function (?<module>\w{1,80})\(|vendor\/autoload\.php|could not find driver|requires ext-(?<ext>\w{1,40})|php extension .{0,60}(?:missing|required|not)|extension is missing|requires the .{0,60}extension/i,
    tier: "cause",
    cause: "PHP misses an extension or package that {source} needs: {module|see the line}.",
    fix: "Install the extension or run `composer install` for {source} (in its image), then {restart}.",
  },
  {
    id: "dotnet-assembly",
    any: words(`
      could not load file or assembly | you must install or update .net
      it was not possible to find any compatible framework version | the framework 'microsoft.
      no .net sdks were found | typeloadexception
    `),
    when: /assembly '(?<module>[^',]{1,120})|install or update|compatible framework|the framework '|SDKs were found|TypeLoad|assembly/i,
    tier: "cause",
    cause: ".NET cannot load {module|an assembly or framework} that {source} needs.",
  },
  {
    id: "go-rust-module",
    any: words(`
      no required module provides package | cannot find package " | can't find crate for | missing go.sum entry
      plugin.open(
    `),
    tier: "cause",
    cause: "{source} misses a package of its build.",
  },
  {
    id: "server-module",
    any: words(`
      cannot load modules/ | dlopen() | cannot load / | could not load plugin
      failed to load plugin | can't open shared library | could not access file " | failed to load module
      plugin not found | cannot load module | unable to load module | failed to load dynamic module | module not found
      unknown module | no such plugin | failed to load dynamic library | extension "
      required library could not be found | missing plugin | plugin "
    `),
    when: /dlopen|cannot load .{0,120}(?:into server|\.so|module)|could not load plugin|failed to load (?:plugin|module|dynamic)|shared library|could not access file ".{1,120}": no such file|plugin (?:"?[\w.-]{0,60}"? )?(?:not found|is not|missing)|unable to load module|module not found|unknown module|no such plugin|extension ".{1,80}" (?:is not available|does not exist)|extension control file|required library/i,
    not: /is not binary compatible|permission denied|\.ko\b|modprobe|optional/i,
    tier: "cause",
    cause: "{source} cannot load the module or plugin {module|named in the line}.",
  },
  {
    id: "postgres-extension",
    any: words(`
      could not open extension control file | type "vector" does not exist | could not load library "
      could not access file "$libdir
    `),
    tier: "cause",
    cause: "PostgreSQL does not have the extension that {source} needs ({path|see the line}).",
  },
  {
    id: "package-manager",
    any: words(`
      unmet dependencies | unable to locate package | nothing provides | no package
      required by | dependency problems | pkg_resources.distributionnotfound | packagenotfounderror
      distribution was not found
    `),
    when: /unmet dependencies|unable to locate package (?<module>\S{1,80})|nothing provides|no package \S{1,80} available|dependency problems prevent|DistributionNotFound|PackageNotFoundError|distribution was not found|not found \(required by/i,
    tier: "cause",
    cause: "A package that {source} needs cannot be found: {module|see the line}.",
  },
  {
    // An index that cannot be reached has no package either.
    id: "package-not-in-index",
    any: words(`no matching distribution found | could not find a version that satisfies`),
    tier: "symptom",
    cause: "The package {module|that {source} needs} is not in the index that it is installed from.",
  },
  {
    id: "kernel-module",
    any: words(`
      modprobe: fatal | fatal: module | module not found in directory | can't initialize iptables table
      no such module
    `),
    not: /permission denied|you must be root/i,
    tier: "cause",
    cause: "The kernel has no module {module|that {source} needs}, at least not for the version that runs.",
    fix: "Compare `uname -r` with /lib/modules; install the kernel's modules (or reboot into the installed kernel), then {restart} ({source}).",
  },
  {
    id: "binary-not-on-path",
    any: words(`
      executable not found in $path | executable file not found in $path | no such command | is not installed
      not installed | please install | not found in path
    `),
    when: /not found in \$?path|no such command|\b(?<module>[\w.@/-]{2,60}) (?:is |was |package )?not installed|please install (?<tool>[\w.@/-]{2,60})/i,
    not: /oci runtime|starting container process|exec: "|update|certificate/i,
    tier: "likely",
    cause: "{source} needs {module|a program or package} that is not installed.",
  },
]);
