# ruff: noqa: E501 - a phrase is easier to read whole than cut
"""How text speaks to a machine that should only read it. Phrases as `phrases.py` explains.

STRONG phrases count alone. WEAK ones are also said by honest people: two of different families must come together.
"""

_OLD = "(previous|previously|prior|above|preceding|earlier|initial|original|former|existing|current|past|foregoing|given|system|these|those|all|any|your|every|other|my|the)"
_ORDERS = "(instruction|instructions|prompt|prompts|rule|rules|guideline|guidelines|directive|directives|command|commands|constraints|restrictions|programming|policies|orders|assignments|assignment|protocols|safeguards)"
_MACHINE = "(ai|llm|gpt|gpt4|chatgpt|claude|gemini|llama|bard|copilot|assistant|language model|ai model|chatbot|classifier|triage bot|bot|machine)"
_REVIEWER = "(reviewer|reviewers|approver|approvers|moderator|moderators|classifier|auditor|triage|ai|llm|assistant|language model|model|agent|system|bot)"

STRONG: dict[str, list[str]] = {
    "tells the reader to ignore its instructions": [
        f"(ignore|ignoring|ignores|disregard|disregarding|forget|neglect|override|bypass|overrule|discard|omit|overlook|abandon) … {_OLD} … {_ORDERS}",
        f"(ignore|disregard|forget|override|bypass|discard) {_ORDERS}",
        "(ignore|disregard|forget|neglect|erase) (everything|all|anything|what|whatever) … (above|before|prior|previously|previous|earlier|said|told|learned|know|knew|read|written|else)",
        "(ignore|disregard|forget) (all|everything|it all) (that|this|of it|and)",
        f"(do not|dont|never|stop) (follow|following|obey|obeying|listen to|listening to) … {_OLD} … {_ORDERS}",
        f"(change|replace|update|rewrite|reset|modify) (your|the|all) … {_ORDERS}",
        f"(here are|these are|follow|following|with|are|your) … (new|updated|revised|real|actual|true) {_ORDERS}",
        f"new {_ORDERS} (follow|are|begin|below|now|for you)",
        "(your|the) (new|real|actual|true|only) (task|goal|job|objective|role|mission|purpose|instructions|instruction|prompt) (is|are|now|will)",
        "(not|dont) (answer|use|follow|reply|respond) … (according to|based on|from) (the|these|those|your) (provided|given|above)? (documents|articles|texts|context|instructions)",
        "(ignorepreviousinstructions|ignoreallpreviousinstructions|ignoreallinstructions|disregardpreviousinstructions|ignorepreviousprompts|forgetpreviousinstructions)",
        "(suoiverp|roirp|lla) … erongi", "snoitcurtsni … (suoiverp|lla|roirp|ruoy)",
        # German
        "(ignorier*|missacht*|vergiss|vergesst|vergessen sie|uberschreib*|verwirf) … (vorherig*|vorig*|obig*|bisherig*|vorangegangen*|alle|alles|deine|ihre|jegliche|samtliche|sonstige|fruhere*|vorstehende*|zuvor|davor|anweisung*|instruktion*|befehl*|regeln|vorgaben|auftrage|anordnung*)",
        "(deine|ihre) (neue|neuen|eigentliche|wahre) (aufgabe|anweisung|anweisungen|rolle)",
        # French
        "(ignore|ignorez|oublie|oubliez|neglige|negligez) … (instruction|instructions|consigne|consignes|directives|regles|precedent*|ci dessus|ordres|tout ce qui)",
        # Spanish, Portuguese
        "(ignora|ignore|ignorar|olvida|olvide|olvidar|descarta|omite|haz caso omiso) … (instrucciones|indicaciones|ordenes|reglas|anterior|anteriores|previas|previo|lo dicho|de arriba)",
        "(ignore|ignora|ignorar|esqueca|esquece|desconsidere|desconsiderar|descarte) … (instrucoes|ordens|regras|comandos|anterior|anteriores|previas|acima)",
        # Italian, Dutch
        "(ignora|ignorate|ignori|dimentica|dimenticate|dimentichi|trascura) … (istruzioni|istruzione|ordini|regole|precedenti|indicazioni|direttive|sopra)",
        "(negeer|vergeet|negeert) … (instructies|instructie|opdrachten|regels|vorige|voorgaande|eerdere|bovenstaande|alles)",
        # Polish, Czech, Croatian/Serbian, Turkish, Scandinavian, Russian, Ukrainian
        "(zignoruj|ignoruj|zapomnij) … (instrukcj*|poprzedni*|polecen*|zasad*|wszystk*)",
        "(ignoruj|zapomen) … (pokyn*|instrukc*|predchozi*|pravidla)",
        "(zanemari|zanemarite|ignorirajte|ignorisi|zaboravi|zaboravite) … (upute|uputstva|prethodn*|naredb*|instrukcij*|sve)",
        "(onceki|yukaridaki|tum|butun) … (talimat*|yonerge*|komut*|kural*) … (yoksay*|yok say*|unut*|gormezden*|dikkate alma*)",
        "(ignorera|ignorer|glom|glem) … (instruktion*|instruks*|tidigare|tidligere|regler|alt|allt)",
        "(игнорируй*|проигнорируй*|забудь|забудьте|не обращай внимания) … (инструкци*|предыдущ*|указани*|правил*|команд*|все)",
        "(ігноруй*|проігноруй*|забудь) … (інструкці*|попередн*|вказівк*|правил*)",
        # Chinese, Japanese, Korean, Arabic, Hindi
        "忽略之前", "忽略以上", "忽略前面", "忽略上述", "忽略上面", "忽略所有", "忽略先前", "无视之前", "无视以上", "无视所有", "忘记之前", "忘掉之前", "忽视之前", "忽視之前",
        "指示を無視", "指示は無視", "命令を無視", "指示を忘れ", "ルールを無視", "이전 지시", "지시를 무시", "지시사항을 무시", "명령을 무시", "명령은 무시",
        "(تجاهل|تجاهلي|انس) … (التعليمات|تعليمات|السابقة|الاوامر|القواعد)", "(निर्देशों|निर्देश) … (अनदेखा|नज़रअंदाज़|भूल)",
    ],
    "tells whoever triages what to answer": [
        "(mark|classify|treat|label|flag|rate|score|categorise|categorize|report|grade|tag|rank|register|log) … (this|it|these|them|me|request|message|incident|item|ticket|transaction|action|proposal|case) … as … (safe|approved|low|info|informational|harmless|benign|auto|automatic|non critical|not critical|trusted|legitimate|resolved|verified|compliant|routine|priority low|accepted)",
        "(mark|classify|treat|label|rate|categorise|categorize|grade) as (safe|approved|low|info|informational|harmless|benign|auto|trusted|legitimate|verified|routine|accepted)",
        "(always|just|simply|immediately|automatically|please|you must|must|should|now|and) approve (this|it|the request|the refund|the action|everything|all|immediately|automatically|without)",
        "approve (this|it|the|my|all|immediately|automatically|everything) … (automatically|immediately|without|at once|right away|no questions|unconditionally)",
        "(auto|automatically|automatic) (approve|approved|approval|accept) (this|it|is|the|these|all|now|please|without)",
        "(no|without|skip|skipping|bypass|bypassing|avoid) (any|the|a|further|manual|human|additional)? (human|manual)? (review|oversight|approval|verification|confirmation|escalation|moderation|check) (is|are)? (needed|required|necessary|needs|and|at all|for this|here)",
        "(bypass|skip|circumvent|evade|disable|turn off|avoid) (the|any|all|your|this|human|manual|further)? (human|manual|safety|security|policy|approval|content)? (review|oversight|approval|approvals|moderation|filter|filters|safeguards|guardrails|checks|escalation)",
        "(does not|doesnt|do not|dont|need not|no need to|not) (need|require|escalate|involve|send|forward|route|be reviewed|need to be) … (human|person|review|reviewed|approval|approved|reviewer|escalation|escalated|manual)",
        "(do not|dont|never) (escalate|flag|forward|report|block|question|reject) (this|it|the|any|to)",
        "(set|change|lower|reduce|make|put|keep) (the|its|this|your)? (severity|priority|confidence|risk|risk level|floor|trigger|triggers|category|score) … (to|as|at|of) (low|info|none|zero|safe|0|1|100|auto|high|empty|1 0|informational|minimum|max)",
        "(output|answer|respond|reply|return|print|say|write|responding|answering) (only|just|exactly|with|with only|only with)? (with|the word)? (safe|approve|approved|auto|yes|severity info|low risk|benign|no triggers|allow|allowed|ok)",
        "(you|reviewer|the reviewer|the classifier|the model|the ai|the system|the agent|the assistant) (must|should|shall|have to|are to|need to|can safely|may safely) (approve|accept|allow|mark|classify|authorise|authorize|rate|set|return|output|respond with)",
        f"(dear|hey|hello|hi|note to|note for|attention|message to|message for|instruction to|instructions to|instruction for|instructions for|notice to|for the attention of|addressed to|to the|attn) (the|all|any)? (automated|automatic|human|reviewing|classifying)? {_REVIEWER} (reading|reviewing|processing|model|please|must|should|this|that|who|instructions|note|instruction|handling|in charge)",
        "(dear|hey|note to|note for|attention|message to|instruction to|instructions to|instruction for|instructions for|attn) (the|all|any)? (ai|llm|classifier|reviewer|approver|language model|ai model|ai reviewer|ai assistant|triage|ai system|ai agent)",
        "if you are (an|a) (ai|llm|language model|bot|assistant|automated|classifier|machine|reviewer|chatbot)",
        "(confidence|severity|risk|category) (is|equals|score) (1 0|100|info|low|none|safe) (and|triggers|category|confidence|severity)",
        "(this|the) (incident|request|message|action|proposal|item|ticket) (is|was|has been) (already|pre|safe and) (been)? (approved|reviewed|authorised|authorized|vetted|verified) (by|and|no|so|please)",
        # other languages
        "(als|wie) (genehmigt|freigegeben|sicher|unbedenklich|harmlos|unkritisch|erledigt) … (markier*|einstuf*|kennzeich*|klassifizier*|behandel*|bewert*)",
        "(markier*|kennzeichne*|klassifizier*|behandle*|bewerte*|stufe) … als … (genehmigt|freigegeben|sicher|unbedenklich|harmlos|unkritisch|erledigt|info)",
        "(genehmige*|freigeben|gib) … (sofort|automatisch|ohne prufung|ohne uberprufung|frei ohne)",
        "(keine|ohne) (manuelle|menschliche|weitere) (prufung|uberprufung|freigabe|kontrolle)",
        "(marque*|classe*|traite*|considere*|etiquete*) … (comme|como) … (approuve*|sur|sure|sans danger|valide|inoffensi*|aprobad*|segur*|aprovad*|inofensiv*)",
        "(approuve*|valide*) … (immediatement|automatiquement|sans verification|sans controle|sans revision)",
        "(marca|marcar|clasifica|clasificar|trata|considera|etiqueta) … como … (aprobad*|segur*|inofensiv*|autorizad*|aprovad*)",
        "(aprueba|aprueben|apruebe|aprova|aprove|approva|approvare) … (inmediatamente|automaticamente|sin revision|sem revisao|imediatamente|subito|senza revisione|senza verifica|immediatamente)",
        "(contrassegna|segna|classifica|tratta|considera|etichetta) … come … (approvat*|sicur*|innocu*|autorizzat*)",
        "(markeer|classificeer|behandel|label) … als … (goedgekeurd|veilig|onschadelijk|akkoord)",
        "(keur) … (direct|automatisch|onmiddellijk|zonder) … (goed|controle)",
        "标记为安全", "标记为已批准", "直接批准", "自动批准", "承認済みと", "安全と分類", "승인됨으로",
    ],
    "asks for the reader's instructions": [
        "(reveal|show|print|repeat|output|display|tell me|give me|share|leak|disclose|recite|return|expose|write down|copy|list|spell check|summarize|translate|say|whats|what is|what are|what were|what was|provide) … (your|the) … (system prompt|initial prompt|prompt text|full prompt|complete prompt|original prompt|hidden prompt|prompt above|initial instructions|original instructions|system instructions|system message|hidden instructions|secret instructions|prompt instructions|entire prompt|prompt texts|preprompt)",
        "(what|whats|which) (are|is|were|was) … your … (prompt|instructions|rules|guidelines|directives|commands)",
        "(show|print|tell|reveal|repeat|give|list|output|ignore|share|display) … your (instructions|prompt|prompts|rules|initial|system|hidden|guidelines|directives|context)",
        "(written|said|stated|stands|came|was|text|words) … (at the)? (beginning|start|top) of (this|the|your) (prompt|conversation|instructions|document|text|chat)",
        "(repeat|print|output|write|say) (everything|all|the text|the words|all text|the sentence|all of the) (above|before|preceding|prior)",
        "(zeige|zeig|nenne|gib|wiederhole|verrate|drucke) … (deine|deinen|ihre|ihren|obigen|gesamten) … (anweisung*|prompt|prompts|systemprompt|instruktion*|regeln)",
        "(montre|affiche|revele|repete|muestra|revela|repite|mostra|rivela|ripeti|toon|herhaal) … (prompt|instrucciones iniciales|instructions initiales|istruzioni iniziali|systeemprompt)",
    ],
    "gives the machine another role": [
        "(i want you to|you will|you shall|you must|i need you to|id like you to|please|lets|now) (now)? (act|behave|roleplay|role play|pretend|respond|simulate|impersonate|play) (as|like|to be|the role|as if|a role|being|that)",
        "(you are|youre) (now|no longer|going to) (be|act|pretend|a|an|in|under|dan|the|bound|free|restricted|roleplay|playing|become|simulate|jailbroken|unrestricted|my|called|named)",
        "(pretend|imagine|suppose|assume|act as if|act like) (that)? (you are|you re|youre|to be|you have|you were|you can) … (ai|dan|evil|human|hacker|unrestricted|developer|assistant|no|without|free|not|language model|model|chatbot|admin|administrator|character|expert)",
        "(act|answer|respond|behave|reply) as (if|though|an|a|the|my|dan|both|chatgpt) … (ai|expert|unrestricted|evil|dan|linux|terminal|interpreter|hacker|assistant|developer|jailbroken|console|character|persona|professional|language model|chatbot|admin)",
        "(do anything now|developer mode|dan mode|god mode|jailbreak|jailbroken|jailbreaking|dan prompt|evil mode|unrestricted mode|admin mode enabled|sudo mode|opposite mode)",
        "(never|do not|dont) break character", "(stay|remain|be) (in|into) character", "(stay|remain) a dan",
        "(no|without|free of|free from|bypass|not bound by|ignores|ignore|has no|have no|remove) (any|all|your|the|its|ethical|moral|openai|content|typical)? (ethical|moral|content|safety|legal|openais|openai)? (restrictions|limitations|filters|censorship|ethics|morals|guidelines|boundaries|confines|safeguards)",
        "(unfiltered|uncensored|amoral|unethical|unmoderated|unrestricted|unlimited) … (response|responses|ai|chatbot|answer|answers|assistant|model|language model|version|advice|character)",
        "(du bist|sie sind|agiere|handle|verhalte dich|spiele|tu so|tue so|stell dir vor|benimm dich|antworte) (jetzt|nun|ab jetzt|ab sofort|als|als ob|wie|du bist|du warst|du seist) …",
        "(ich mochte|ich will|du sollst) … (dass du|du) … (als|spielst|bist|agierst|handelst|antwortest|tust)",
        "(tu es|vous etes|agis|agissez|comporte toi|fais comme si|faites comme si) (maintenant|desormais|comme|tu etais|vous etiez)",
        "(eres|actua|actue|comportate|finge|quiero que actues) (ahora|como|que eres|ser)", "(a partir de ahora|desde ahora) (eres|seras|debes|vas|tu|actua*)",
        "(sei|agisci|comportati|fai finta|fingi|voglio che tu) (ora|adesso|come|di essere|agisca|che)", "(voce e|voce agora|aja|finja|atue) (agora|como|e|ser|que)",
        "(je bent|gedraag je|doe alsof|speel) (nu|vanaf nu|als|je|de rol)", "(od sada|sada) (si|ces|ti|budes)", "(ab jetzt|ab sofort|von nun an) (bist|wirst|sollst|musst|antwort*|handel*)",
        "你现在是", "从现在开始你", "假装你是", "扮演一个", "あなたは今から", "になりきって", "너는 이제", "지금부터 너는",
    ],
    "speaks to a machine that reads it": [
        f"(important|urgent|critical|secret|special) (message|note|instruction|instructions|information|notice|update) (from me|to you|for you|for the|for all|for any) … {_MACHINE}",
        f"(to you|for you|dear) {_MACHINE}",
        "(before|after) you (can|could|do|may|will|are able to|have)? (solve|solved|solving|complete|completed|continue|answer|proceed|finish|do|do that|perform) … (task|tasks|question|request|job) … (that)? i gave you",
        "(task|tasks|job|question) (that)? (i|we) (gave|have given|asked|assigned) (to)? you (in the beginning|originally|initially|earlier|before)",
        "(please)? do the following (first|before|instead)",
        "(instead of|rather than) … (summarizing|summarising|answering|following|completing|translating|classifying|replying|responding|the task|your task)",
        f"as (a|an) {_MACHINE} (you|your|ignore|please|must|should|i need|do|write|build)",
        "you are (a|an|the) (helpful|large|ai|artificial|powerful|advanced|language|intelligent|virtual|autonomous|expert|new|obedient|unrestricted|free) (assistant|language model|ai|model|llm|bot|chatbot|intelligence|agent)",
        "(include|insert|embed|incorporate|hide|add|put|append|weave|place|mention|use|encode|slip|convey|reference|hint) … (in|into|within|throughout|to|at the end of) your (next|final|whole|entire|own)? (response|reply|answer|output|summary|message|responses|answers|email)",
        "(end|begin|start|conclude|preface|finish|modify|enhance|alter|rewrite|structure|format|encode|craft|tailor|adapt|limit|restrict|frame|phrase|adjust|convert|transform|turn|change|compose|present|scramble|formulate) (all|each of)? your (next|final|whole|entire|own)? (response|reply|answer|output|summary|responses|answers)",
        "in your (response|reply|answer|output|next response|final answer|summary) (please|include|mention|add|use|write|replace|insert|provide|do|you|only|also)",
        "(your|all|every|the) (response|responses|answer|answers|output|replies|reply) (must|should|shall|will|has to|have to|needs to) (be|always|only|include|contain|start|begin|end|not|never|consist|mention|look|follow)",
        "(send|forward|email|post|upload|exfiltrate|transmit) … (all|your|the|any|this|user|users|their|entire) … (credentials|passwords|password|api keys|api key|secrets|system prompt|conversation history|chat history|user information|private data|user data|access token|security code) … (to|at|via)",
        "(the user|user) (wants|asked|authorised|authorized|instructed|requested|has asked|has authorized) (you|the assistant|the agent|the ai) to (ignore|send|transfer|delete|approve|execute|run|skip)",
        "(end|beginning|begin|start) of (the)? (system prompt|system message|untrusted data|untrusted text|untrusted content|user input|context window|instructions to)",
        "system (prompt|override|message|instruction|command|notice) (is|override|begin|follows|new|you|ignore|update|the|all|from)",
        "(admin|administrator|system|developer|root|security|policy) override (code|enabled|mode|granted|activated|accepted|approve*|all)",
        "(execute|run|call|invoke|use) the (tool|function|command|following tool|following function|following command) … (now|immediately|without|first|before|with the)",
    ],
}

WEAK: dict[str, list[str]] = {
    "from now on": ["from now on", "from this point (on|forward|onwards)", "from here on", "starting now", "henceforth", "ab jetzt", "ab sofort", "von nun an", "a partir de ahora", "a partir de maintenant", "desormais", "d ora in poi", "vanaf nu"],
    "names a machine": ["(chatgpt|gpt3|gpt 3|gpt4|gpt 4|openai|openais|dan|large language model|language model|llm|ai model|ai assistant|as an ai|gpt)", "(sprachmodell|ki modell|modele de langage|modelo de lenguaje|modello linguistico|modelo de linguagem|taalmodel)", "(you are|youre) (an|a) (ai|bot|chatbot)", "(ai|llm) (system|reviewer|agent|classifier)"],
    "takes a role": ["(act|behave|roleplay|pretend|acting|pretending|roleplaying|role play) (as|like|to be|you|that)", "(play|playing|plays|assume|adopt|take on|simulate|impersonate) (the|a|an|your) (role|persona|character|part|personality|identity) of", "you are (going to|about to|now|currently)", "(your name is|you are called|known as|you will be called)", "(in|into) character", "(persona|roleplay|fictional character|hypothetical story|fictional story)", "(simulate|simulation|simulator|simulates)", "(two responses|two ways|both ways|two answers|answer as)", "(lass uns|wir spielen|wir machen) … (spiel|rollenspiel)"],
    "orders about answers": ["(you|it|he|she|they) (will|must|should|shall|can|are to|have to|need to) (not|never|always|only|also)? (answer|respond|reply|refuse|obey|comply|provide|say|mention|follow|generate|write|output|start|reply|tell|talk|speak|act)", "(respond|reply|answer|responding|replying|answering) (only|with|in|exactly|to every|to all|as|using|to me)", "(never|not) (refuse|say no|say you cant|mention|warn|apologize|apologise|explain|disclaimer)", "(answer|print|say|write|output|repeat|state|tell me|generate|give me|create|produce|compose|formulate|name) … (exactly|verbatim|only|the following|following|nothing else|untrue|false|fake|lie|lies|offensive|racist|sexist|hate|hateful|propaganda|positive|negative)", "(the|your) (following|next) (question|questions|texts|text|prompt|task|answer|articles|sentence|paragraph|message)", "(schreibe|schreib|antworte|sage|sag|formuliere|nenne|erzahle|erklare|beantworte) (mir|uns|nur|bitte|die|eine|einen|auf|dass|wie)", "(escribe|escriba|responde|responda|di|repite|contesta) … (que|solo|como|siempre|lo)", "(napisi|odgovori|reci|ponovi|pises|odgovaras)"],
    "wants no limits": ["(no|without|any|ignore|bypass|break|breaking|free) … (limits|limit|restriction|restrictions|rules|censorship|filter|filters|boundaries|refusal|warnings|disclaimers|limitations)", "(ethics|ethical|moral|morality|morals|legality|illegal|unethical|immoral|nsfw|explicit|profanity|swear|swearing|curse|malware|virus|phishing|offensive|harmful|hatred|racist|weapons|bomb)", "(against|violate|violates|violating) … (policy|policies|guidelines|tos|rules|law|laws)", "(can do anything|do anything|freed from|broken free|no longer bound)"],
    "speaks of prompts": ["(prompt|prompts|system message|token|tokens|instructions|instruction|context above|text above|training data|knowledge cutoff)", "(anweisungen|instruktionen|aufgaben|befehle|vorgaben)", "(insert prompt here|prompt here|my first (request|prompt|command|question|suggestion|sentence|task))", "(articles|documents|paragraphs|passages|sources) … (not|instead|rather|own knowledge|but)", "your own (knowledge|words|opinion|views|opinions)"],
    "another task": ["(instead|now|but|please|also|then|first|and) (please|just|now|instead|first)? (print|say|write|tell|repeat|output|answer|give|show|create|generate|send|visit|click|execute|run|make|change|translate|explain|state|list|forward|transfer)", "(new|next|different|another|real|actual|main|only) (task|tasks|question|topic|assignment|job|instruction|instructions|order|orders)", "(instead of|rather than) (that|this|answering|the)", "(stop|wait|halt|pause) . (now|new|please|you|forget|ignore|instead|here)", "(forget|ignore|disregard|skip) (that|this|it|about|the|your|all|everything|it all|these|those|what|any|me|alles|everything else)", "(vergiss|ignoriere|vergesse|vergessen|zaboravi|olvida|oublie)", "(neue|weitere|andere|nachste|neuen) (aufgabe|aufgaben|anweisung|anweisungen|instruktionen|fragen|frage|auftrag)"],
    "closes what was before": ["(end|stop|done|finished|thats all|thank you|thanks|great|super|danke|well done|good job|very good|sehr gut|perfect) . (now|and now|next|new|nun|jetzt|but|please|ok|ahora)", "(nun|jetzt|ahora|sada|maintenant|adesso|nu) (folgen|kommt|kommen|folgt|mochte|beantworte*|antworte|sage|zeig|bitte|bist|gib|vergiss|neue|weitere|dime|responde)"],
}  # fmt: skip
