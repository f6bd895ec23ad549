/**
 * The words by which a line says that something failed, whatever it was: in English, and the commonest in German, French, Spanish,
 * Portuguese and Japanese. Without one of them a line only mentions the thing.
 */
export const FAILING = new RegExp(
  [
    /fail|\berr(?:no|code)?s?\b|error|exception|\bfatal|\bpanic|\babort|\bcrash|\bkill(?:ed|ing)?\b|\bdied\b|\bdump/,
    /\bcan(?:not|'t|’t| not)\b|\bcould(?: not|n't|n’t)\b|\bunable\b|\b(?:does|do|did|is|was|are|were|has|have|had|will|would|may|must|should)(?: not|n't|n’t)\b|\bnot (?:a|an|allowed|permitted|found|supported|available|set|defined|configured|enough|valid|writable|readable|responding|running|match|known|installed|exist|enabled|recogni[sz]ed|specified|loaded|initiali[sz]ed|accept|received?|open|ready|within|authori[sz]ed|reachable|allow|compatible|trusted|satisfied|met|understood|in sync)/,
    /\bno (?:\w{1,20} )?(?:such|space|route|more|matching|valid|suitable|free|memory|permission|longer|response|answer|reply|module|method|file|device|servers?|brokers?|nodes?|leader|quorum|usable|available|supported|compatible)|\bnone of\b|\bnothing\b|\bmissing\b|\black(?:s|ing)?\b|\bwithout\b|\bundefined\b|\bneeds?\b|\brequire|\bmust\b|\bplease\b/,
    /\brefus|\bdeni(?:ed|es)\b|\bdeny|\bforbid|\bunauthori[sz]ed|\breject|\bprohibit|\bdisallow|\bdrop(?:ped|ping)\b|\bblocked\b|\bexpired?\b|\bexpires\b|\brevoked|invalid|\billegal|\bbad\b|\bwrong\b|\bincorrect|\bmalformed|\bunexpected|\bunknown|\bunrecogni[sz]ed|\bunsupported|\bincompatible|mismatch|\bdiffer(?:s|ent)?\b|\bconflict|\bduplicate|\bambiguous|\bcorrupt|\bdamaged?\b|\bbroken\b|\btruncated|\binconsisten|\bviolat|\bsegfault|\bassert|\bunhandled|\buncaught/,
    /\balready\b|\bin use\b|\bheld\b|\blocked\b|\bbusy\b|\bdeadlock|\banother\b|\btaken\b|\btimed?[- ]?out|\bdeadline|\btoo (?:many|long|large|big|old|new|small|low|high|few|slow|short|much|recent|often)|\bexceed|\bexhaust|\bfull\b|\bout of\b|\bran out|\blimit\b|\binsufficient|\bover (?:quota|limit)|\babove\b|\bbelow\b|\bunreachable|\bunavailable|\bdown\b|\blost\b|\bclosed\b|\breset\b|\bterminated|\bunresponsive|\bhung\b|\bstuck\b|\bstall|\bdegraded|\boffline|\bdisconnect|\bstale\b|\bunsafe|\binsecure|\btrouble|\bproblem|\bsorry|\boops|\bnil\b|\bterminate|\bthrow|\bmissed\b|\btorn\b|\breached\b|\bfallen\b|misbehav|\blonger than\b|fault|\bflood|\bpos \d|\bsignal received|\bno free\b|\b0 bytes\b|\b100 ?%|\binconsistent|\bslow\b|\bsplit-?brain|\blong time\b|\bviolates?\b|\bkilled\b|\bno [A-Za-z]{3,20} (?:was |were |is )?\w{3,12}ed\b|\bnot yet\b|\black\b|\bnot \w{3,14}ed\b|\bSEC_E_|\bvoid of\b|\bunless\b|\bonly\b|\bnull\b|\breject|\bHARAKIRI|\bDAMN|\bgiving up|\bgave up|\bquit(?:ting)?\b|\bbailing|\bstop(?:ped|ping)\b|\bexit(?:ed|ing|s)?\b|\bintegrity|\bbug\b|\brefers to|\bgone\b|\bdenial|\bviolation|\bpermission\b|\bgot signal|\bsig(?:segv|abrt|kill|bus|ill)|\bOOM|\bolder than|\bnewer than|\binstead of|\brather than|\bbut\b|\bE[A-Z]{3,14}\b|\bEAI_[A-Z]{4,9}\b|=eacces|\{error/,
    /fehler|fehlgeschlagen|\bkein|\bnicht\b|\bbereits\b|abgelehnt|verweigert|\bzu viele|abgelaufen|belegt|beschädigt|ungültig/,
    /erreur|échec|échou|impossible|\baucun|introuvable|inconnu|refus|déjà|non accordée|non permise|trop de|expir|invalide|ne peut/,
    /fallo|falló|rehusad|rechazad|denegad|no existe|no se (?:pudo|puede|encontr)|no queda|demasiad|inválid|imposible|ya (?:se está|está|existe)|expiró/,
    /erro\b|falha|falhou|recusad|negad|não|inexistente|inválid|já (?:em|está)|muitos|esgotad/,
    /エラー|失敗|できません|ありません|ません|拒否|既に|不明|タイムアウト|異常/,
  ]
    .map(({ source }) => source)
    .join("|"),
  "i",
);
