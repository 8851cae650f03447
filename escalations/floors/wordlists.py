# ruff: noqa: E501 - a phrase is easier to read whole than cut
"""The words and limits triggers start with. They become the settings of Trigger rows, where an administrator retunes them.

Phrases are written as `phrases.py` explains: `…` up to four other words, `(a|b)` either, `word*` begins so, `?` optional.
"""

from typing import Any

from .sensitivewords import SENSITIVE

ASKS_FOR_A_PERSON = [
    # English
    "(speak|talk|chat|speaking|talking|discuss) (to|with)? … (human|humans|representative|rep|supervisor|operator|advisor|adviser|manager)",
    "(speak|talk|chat|speaking|talking) (to|with) … (person|people|someone|somebody|anyone|employee|colleague)",
    "(speak|talk|chat|speaking|talking) (to|with) (a|an|your|the|live|real|customer|support|service|any) … (agent|consultant|associate|specialist|staff)",
    "(connect|transfer|forward|pass|put|switch|redirect|hand|direct) me (to|with|over|through|on) … "
    "(human|person|someone|somebody|agent|representative|rep|supervisor|operator|manager|employee|staff|support|service)",
    "(need|want|wants|get|give|getting|prefer|demand|request|like|have|asking for) … (real|live|actual|human) (human|person|people|agent|being|representative|support|operator|assistance|help|rep|contact)",
    "(need|want|wants|get me|give me|prefer|demand|request|asking for) (a|another) (human|representative|operator|supervisor)",
    "(i|customer|caller|user|client|she|he|they) … (want|wants|need|needs|demand|demands|ask|asks|asked|request|requests|requested|would like|insists) … "
    "(speak|talk|chat) (to|with) … (human|person|someone|somebody|agent|representative|supervisor|manager|operator)",
    "(human|person|agent|representative|operator|manager|supervisor) (please|now|pls|plz) .",
    "is there … (human|real person|actual person|live person|someone) … (talk|speak|there|here|available)",
    "(are|is) there any (humans|human|people|real people)",
    "(real|live|actual) (human|person) … (please|instead|not|here)",
    "not a (bot|robot|machine|chatbot|computer|script)",
    "(no|stop|hate|enough of|sick of|tired of) (this|these|the|your)? (bots|bot|robots|robot|chatbot|chatbots|automated|machines) …",
    "(dont|do not|not) want … (talk|speak|chat|deal) … (bot|robot|machine|chatbot|computer|ai|automated system)",
    "(let|have) (a|an|some|your) (human|person|manager|supervisor|representative|agent) … (look|call|contact|help|handle|review|check|decide|phone)",
    "(someone|somebody|a person|a human|a manager|a representative|an agent) … (call|phone|ring|contact) me",
    "(please|can you|could you|just)? call me back",
    "escalate (this|it|my|me) …? (to|case|ticket|issue|request|complaint|now|please)",
    "(ask|asks|asked|asking) (for|to speak to|to speak with) (a|an|your|the) (human|person|real person|manager|supervisor|representative|operator|live agent|human agent)",
    "human (agent|operator|representative|being|support|assistance|help|advisor|review) (please|now|needed|required|instead|only)?",
    # German
    "(mit|zu|von) (einem|einer|nem|ner|echten|richtigen|ihrem|dem) … (mensch*|mitarbeiter*|person|berater*|sachbearbeiter*|vorgesetzten|kollegen)",
    "(sprechen|reden|telefonieren|verbinden|verbunden|verbinde) … (mensch*|mitarbeiter*|berater*|vorgesetzten|jemandem)",
    "(mensch*|mitarbeiter*|berater*|vorgesetzten|jemandem|jemand) … (sprechen|reden|telefonieren|verbinden|verbunden|anrufen|zuruckrufen|weiterleiten)",
    "(keinen|kein|nicht mit einem|nicht mit einer) (bot|roboter|computer|maschine|automaten|ki)",
    "(echten|richtigen|wirklichen) (menschen|mitarbeiter|person)",
    "rufen sie mich … (an|zuruck)",
    # French
    "(parler|discuter|echanger|communiquer) (a|avec) … (humain|humaine|personne|conseiller|conseillere|agent|quelquun|responsable|operateur|superviseur)",
    "(vrai|vraie|reel|reelle) (personne|humain|conseiller|interlocuteur)",
    "(un|etre) (humain|conseiller) (svp|sil vous plait|sil te plait)",
    "(passez|transferez|mettez) moi … (humain|personne|conseiller|conseillere|agent|quelquun|responsable|service)",
    "(pas|plus) … (parler|discuter) … (robot|machine|bot)",
    "rappelez moi",
    # Spanish
    "(hablar|comunicarme|conversar|contactar) con … (humano|humana|persona|alguien|agente|representante|asesor|asesora|operador|operadora|supervisor|gerente|encargado)",
    "(persona|humano|agente) (real|de verdad|humano|humana)",
    "(paseme|pasame|comuniqueme|transfierame|pongame) con …",
    "no quiero hablar con … (robot|bot|maquina)",
    "(llamenme|llameme)",
    # Italian
    "(parlare|parlo|comunicare) con … (umano|persona|qualcuno|operatore|operatrice|consulente|responsabile|addetto|essere umano)",
    "(persona|operatore) (reale|vera|umano|in carne e ossa)",
    "(passatemi|mi passi|mettetemi in contatto con) …? (operatore|persona|qualcuno|responsabile|umano)",
    # Portuguese
    "(falar|conversar) com … (humano|humana|pessoa|alguem|atendente|operador|supervisor|gerente|representante|agente)",
    "(pessoa|atendente) (real|de verdade|humano|humana)",
    "(quero|preciso de|passe para) um (atendente|humano|operador)",
    # Dutch
    "(spreken|praten|bellen|chatten) met … (mens|medewerker|persoon|iemand|collega|leidinggevende|manager)",
    "met (een|iemand|n) … (mens|medewerker|persoon|collega|leidinggevende)? … (spreken|praten|bellen|chatten)",
    "(echte|echt) (mens|persoon|medewerker)",
    # Scandinavian, Polish, Czech, Turkish, Russian, Ukrainian
    "(prata|tala|snakke|tale) med … (manniska|person|nagon|menneske|noen|nogen|medarbejder|medarbetare|kundebehandler)",
    "(rozmawiac|porozmawiac|polaczyc|polacz*) … z … (czlowiekiem|konsultant*|osoba|kims|pracownik*|operator*)",
    "(mluvit|spojit|spojte) … s … (clovekem|operator*|nekym|pracovnik*)",
    "(insan*|temsilci*|yetkili*|biriyle|operator*) … (gorusmek|konusmak|baglan*|baglayin)",
    "(поговорить|связаться|соедините|переключите|позовите|говорить) … (человек*|оператор*|сотрудник*|менеджер*|специалист*)",
    "(живой|живым|живого|реальный|реальным) (человек*|оператор*|сотрудник*)",
    "(поговорити|зв'язатися|з'єднайте) … (людиною|оператор*|менеджер*)",
    # Chinese, Japanese, Korean, Arabic, Hebrew, Hindi
    "转人工", "轉人工", "人工客服", "真人客服", "找真人", "和真人", "跟真人", "人工服务", "人工服務",
    "人間と話", "オペレーターに", "オペレータに", "担当者と話", "担当者に代わ", "人と話したい",
    "상담원", "사람과 이야기", "사람이랑", "직원과 통화", "직원 연결",
    "(التحدث|اتحدث|اتكلم|الكلام) (مع|الى) … (شخص|موظف|انسان|بشري|احد|ممثل)",
    "(לדבר|לשוחח) עם … (נציג|אדם|בן אדם|מישהו)",
    "(इंसान|व्यक्ति|एजेंट) से बात",
]

COMPLAINS = [
    # the machine, the company, or its decision is disputed
    "(file|make|lodge|raise|submit|register|have|log) (a|an|my|another)? (formal|official|serious)? (complaint|grievance)",
    "(i|we) (want|wish|need|would like|am going|will|have) … (complain|complained|complaint)",
    "(i am|im|we are|were|i) (complaining|dispute|disputing|disputed|contest|contesting) …",
    "(this|that|it|which) (is|was|decision|answer|charge) … (unacceptable|outrageous|ridiculous|disgraceful|unfair|a disgrace|a scam|fraudulent)",
    "(i|we) (disagree|do not agree|dont agree|object|protest|appeal) …",
    "(appeal|reconsider|reverse|overturn|challenge) (this|that|the|your) (decision|refusal|rejection|ruling|denial|answer)",
    "(your|the) (bot|ai|chatbot|system|agent|assistant|machine|robot|algorithm|software) … "
    "(wrong|mistake|mistaken|error|lied|misled|refused|denied|cancelled|canceled|charged|deleted|messed|failed|incorrect|incorrectly|wrongly|ignored)",
    "(you|your|youve) … (wrongly|wrongfully|mistakenly|incorrectly|illegally|unfairly) …",
    "you (have|had|just)? (refused|denied|cancelled|canceled|charged|deleted|closed|blocked|overcharged|ignored|lied|misled|billed) (me|my|us|our|to me)",
    "(i|we) (never|did not|didnt) (agree|agreed|ask|asked|authorise|authorised|authorize|authorized|consent|consented|approve|approved|order|ordered|request|requested) (to|for|this|that|it|any|you) …",
    "(very|extremely|really|so|deeply|absolutely|totally) (disappointed|dissatisfied|unhappy|angry|upset|frustrated|disgusted) (with|by|at|about|that) …",
    "(worst|terrible|horrible|awful|appalling|disgusting|pathetic) (service|experience|support|company|customer service|treatment)",
    "(never|not) … (answered|resolved|solved|fixed|helped) (my|our) (question|problem|issue|complaint|request)",
    "(taking|take) (this|it|you) to (court|the ombudsman|the regulator|trustpilot|social media)",
    "(ombudsman|consumer protection|better business bureau|trading standards)",
    "that(s| is)? not what i (asked|wanted|ordered|said|meant|agreed)",
    # German, French, Spanish, Italian, Portuguese, Dutch
    "(beschwerde|beschweren|beschwere|reklamation|reklamieren|widerspruch|widerspreche)",
    "(unverschamt*|inakzeptabel|frechheit|zu unrecht|nicht einverstanden)",
    "(porter plainte|reclamation|je conteste|inadmissible|inacceptable|pas daccord|mecontent*|je me plains)",
    "(queja|quejarme|reclamacion|inaceptable|no estoy de acuerdo|reclamar|denuncia)",
    "(reclamo|lamentela|inaccettabile|non sono daccordo|contesto|protesto)",
    "(reclamacao|queixa|inaceitavel|nao concordo|reclamar)",
    "(klacht|klagen|onacceptabel|niet mee eens|bezwaar|belachelijk)",
    "投诉", "投訴", "クレーム", "불만", "(жалоба|жалобу|пожаловаться|недопустимо|возмущен*)", "(skarga|reklamacja|zazalenie)",
]

IRREVERSIBLE_VERBS = [
    "delete", "drop", "purge", "wipe", "truncate", "erase", "destroy", "shred", "terminate", "obliterate", "expunge", "unpublish",
    "transfer", "wire", "send money", "send payment", "send funds", "send crypto", "make payment", "pay", "payout", "disburse",
    "remit", "withdraw", "liquidate", "publish", "broadcast", "post publicly", "tweet", "cancel", "close account", "remove account",
    "remove user", "fire employee", "factory reset", "format disk", "force push", "reset hard", "rotate root", "revoke certificate",
    "deprovision", "decommission", "uninstall", "anonymize", "anonymise", "forget", "deploy production", "sign contract", "burn",
]  # fmt: skip

DEFAULT_SETTINGS: dict[str, dict[str, Any]] = {
    "high_stakes": {
        "money_limit": 100,  # in whole units; names with a word of `cents_words` are read as hundredths
        "count_limit": 100,
        "money_words": [
            "amount", "amt", "price", "sum", "cost", "fee", "fees", "payment", "refund", "credit", "debit", "charge", "balance",
            "salary", "budget", "bid", "fine", "deposit", "payout", "discount", "donation", "tip", "compensation", "spend", "usd",
            "eur", "gbp", "chf", "jpy", "dollars", "euros", "pounds", "cents", "pence", "betrag", "montant", "importe", "importo",
        ],
        "count_words": ["count", "rows", "quantity", "qty", "records", "affected", "recipients", "volume", "units", "copies", "anzahl"],
        # such names hold text as often as numbers: they fire over a limit, or when a figure in them cannot be read
        "vague_words": ["total", "value", "limit", "number", "size", "worth", "shares", "max", "maximum"],
        "cents_words": ["cents", "cent", "pence", "minor", "subunits", "centimes"],
        "limits": {},  # exceptions: {"amount": 250} by name or {"refund.amount": 500} by action and name
    },
    "irreversible": {"verbs": IRREVERSIBLE_VERBS, "look_inside": True},
    "sensitive_data": {"phrases": SENSITIVE, "contacts": 5},  # so many different e-mail addresses and telephone numbers are a list
    "user_request": {"phrases": []},  # more phrases than the built-in ones, which always count
    "user_complaint": {"phrases": COMPLAINS},
    "low_confidence": {"below": 0.6},  # 0 to 1: what is less sure than this comes to a person
    "unfamiliar": {"above": 0.98},  # 0 to 1: what is stranger than this share of known traffic comes to a person
    "agent_failed": {"max_attempts": 3},
}  # fmt: skip
