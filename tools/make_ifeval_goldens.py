#!/usr/bin/env python3
"""Writes tests/eval/goldens/ifeval.jsonl: what lm-evaluation-harness' IFEval says of many answers, strictly and loosely.

Made with lm_eval 0.4.13, nltk 3.10.4 and langdetect 1.0.9. Run from the project's root:

    python3 tools/make_ifeval_goldens.py

Each line is an instruction with its arguments and a list of [answer, strict, loose]. No data of NLTK's is needed: words
are cut without cutting sentences first, which moves no letter, and number_sentences, which needs its Punkt model, is
left out. Languages are asked of texts that are long enough to have one.
"""

import importlib.metadata
import json
import os
import pathlib

os.environ["LOCAL_RANK"] = "1"  # or it would fetch data

import langdetect
import nltk
from lm_eval.tasks.ifeval import utils

PINNED = {"lm_eval": "0.4.13", "nltk": "3.10.4", "langdetect": "1.0.9"}
OUT = pathlib.Path(__file__).resolve().parent.parent / "tests/eval/goldens/ifeval.jsonl"
PROMPT = "Say it."

# Answers that every instruction is asked of, but those of languages.
COMMON = [
    "The quick brown fox jumps over the lazy dog, and it was not amused.",
    "all of this is written in small letters and it is not hard to read",
    "ALL OF THIS IS WRITTEN IN CAPITAL LETTERS AND IT IS NOT HARD TO READ",
    "Sure, here you are:\n\n* First, a *point* of **note**\n* Second\n\n***\n\n- Third [here]\n\nP.S. That is all.",
    "<<A Title>>\n\nSECTION 1\nOne two three.\n\nSECTION 2\nFour five six.\n\nMy answer is maybe.",
    "\"Say it. He said: the cat sat on the mat, didn't it? It's THE CAT'S mat!\"",
    "```json\n{\"a\": [1, 2, {\"b\": null}], \"c\": \"x, y\"}\n```",
    "   \n \t",
    "one ****** two",
]

LANGUAGES = {
    "de": "Das ist ein ganz gewöhnlicher deutscher Satz über das Wetter von heute, und es ist nicht kalt.",
    "en": "This is an ordinary English sentence about the weather of today, and it is not cold at all.",
    "it": "Questa è una frase del tutto normale che parla del tempo, e non è per niente freddo nel sud.",
    "pt": "Esta é uma frase comum em português sobre o tempo de hoje, e não está frio para os meus amigos.",
    "vi": "Đây là một câu tiếng Việt bình thường về thời tiết hôm nay, và trời không có lạnh với các bạn của tôi.",
    "fi": "Tämä on tavallinen suomalainen lause säästä, joka ei ole kylmä, mutta ihmiset ovat iloisia ja se riittää.",
    "sw": "Hii ni sentensi ya kawaida kwa lugha ya Kiswahili na watu wa nchi wanasema kama ni nzuri katika siku ya leo.",
    "ru": "Это обычное предложение на русском языке о погоде, и сегодня не холодно для людей, как это бывает.",
    "bg": "Това е обикновено изречение на български език за времето днес, като хората са доволни, че не се чувстват зле.",
    "ar": "هذه جملة عادية عن الطقس في هذا اليوم، وهي من الجمل التي لا تحتاج إلى شرح على الإطلاق.",
    "fa": "این یک جمله معمولی درباره هوا است که در آن از باران و برف می گوییم و با دوستان را به خانه می بریم.",
    "ur": "یہ موسم کے بارے میں اردو کا ایک عام جملہ ہے اور اس میں کوئی مشکل بات نہیں ہے، لوگ اس کو پسند کرتے ہیں۔",
    "hi": "यह मौसम के बारे में हिंदी का एक सामान्य वाक्य है और इसमें कुछ भी कठिन नहीं है, लोग इसको पसंद करते हैं।",
    "mr": "हे हवामानाबद्दल मराठी भाषेतील एक साधे वाक्य आहे आणि ते कठीण नाही, लोक आनंदी आहेत.",
    "ne": "यो मौसमको बारेमा नेपाली भाषाको एउटा साधारण वाक्य हो र यसमा केही पनि गाह्रो छैन, मानिसहरू खुसी छन्।",
    "bn": "এটি আজকের আবহাওয়া সম্পর্কে একটি সাধারণ বাংলা বাক্য এবং এটি কঠিন নয়।",
    "gu": "આ આજના હવામાન વિશે ગુજરાતી ભાષાનું એક સામાન્ય વાક્ય છે અને તે મુશ્કેલ નથી.",
    "pa": "ਇਹ ਅੱਜ ਦੇ ਮੌਸਮ ਬਾਰੇ ਪੰਜਾਬੀ ਭਾਸ਼ਾ ਦਾ ਇੱਕ ਆਮ ਵਾਕ ਹੈ ਅਤੇ ਇਹ ਔਖਾ ਨਹੀਂ ਹੈ।",
    "kn": "ಇದು ಇಂದಿನ ಹವಾಮಾನದ ಬಗ್ಗೆ ಕನ್ನಡ ಭಾಷೆಯ ಒಂದು ಸಾಮಾನ್ಯ ವಾಕ್ಯವಾಗಿದೆ ಮತ್ತು ಇದು ಕಷ್ಟವಲ್ಲ.",
    "ta": "இது இன்றைய வானிலை பற்றிய ஒரு சாதாரண தமிழ் வாக்கியம், இது கடினம் அல்ல.",
    "te": "ఇది నేటి వాతావరణం గురించి ఒక సాధారణ తెలుగు వాక్యం మరియు ఇది కష్టం కాదు.",
    "th": "นี่เป็นประโยคภาษาไทยธรรมดาเกี่ยวกับสภาพอากาศในวันนี้",
    "ko": "이것은 오늘의 날씨에 대한 평범한 한국어 문장이며 어렵지 않습니다.",
}

# Instruction: the arguments that it is asked with, and answers of its own.
CASES = {
    "keywords:existence": (
        [{"keywords": ["cat", "mat"]}, {"keywords": ["fox"]}, {"keywords": ["h.re"]}, {"keywords": ["cat"], "num_words": None}],
        ["The CAT and the Mat", "concatenate the format", "catalogue only", "c a t m a t", "*ca*t and mat"]),
    "keywords:frequency": (
        [{"keyword": "cat", "frequency": 2, "relation": "at least"}, {"keyword": "cat", "frequency": 2, "relation": "less than"},
         {"keyword": " the ", "frequency": 3, "relation": "at least"}],
        ["cat and Cat", "cat and dog", "catcatcat", "the The THE", "the\nother\nthe\ncat"]),
    "keywords:forbidden_words": (
        [{"forbidden_words": ["cat"]}, {"forbidden_words": ["quick", "hard"]}, {"forbidden_words": ["it's"]}],
        ["concatenate is fine", "a Cat sat", "cat_food and cats", "the-cat-sat", "The cat.\nNo animal here.\nBye, cat",
         "quick\nA plain line\nhard"]),
    "keywords:letter_frequency": (
        [{"letter": "e", "let_frequency": 3, "let_relation": "at least"}, {"letter": "E", "let_frequency": 3, "let_relation": "less than"},
         {"letter": "q", "let_frequency": 1, "let_relation": "less than"}],
        ["Elephants are here", "no such", "eee", "EeE e", "É é è"]),
    "length_constraints:number_words": (
        [{"relation": "at least", "num_words": 5}, {"relation": "less than", "num_words": 4}, {"relation": "at least", "num_words": 14}],
        ["one two three four five", "one two three four", "well-known isn't it", "snake_case is one", "naïve café 日本語 x2 3.14",
         "* * * *", "... ! ?", "one\ntwo three four five six", "१२३ x2 ٣"]),
    "length_constraints:number_paragraphs": (
        [{"num_paragraphs": 2}, {"num_paragraphs": 3}, {"num_paragraphs": 1}],
        ["a\n\n***\n\nb\n\n***\n\nc", "a\n\n***\n\nb", "***\na\n***\nb\n***", "a\n***\n***\nb", "a *** b", "a****b", "a******b",
         "Intro\na\n***\nb", "a\n\nb"]),
    "length_constraints:nth_paragraph_first_word": (
        [{"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "hello"}, {"num_paragraphs": 3, "nth_paragraph": 1, "first_word": "It"},
         {"num_paragraphs": 2, "nth_paragraph": 1, "first_word": "don"}],
        ["first one here\n\nHello there", "first one here\n\nThere hello", "first\n\n\"'Hello, you", "first\n\n'\"hello!'", "a\n\n\n\nhello",
         "It's me\n\nb\n\nc", "it\n\nb\n\n\nc", "\n\na\n\nhello", "Don't go\n\nthere", "Sure!\nfirst\n\nhello", "*first*\n\n*hello* x"]),
    "detectable_content:number_placeholders": (
        [{"num_placeholders": 2}, {"num_placeholders": 1}],
        ["Dear [name] of [city]", "Dear [name]", "[[nested]] [two]", "[open\nclosed]", "[] []", "[a] ]b[ [c"]),
    "detectable_content:postscript": (
        [{"postscript_marker": "P.S."}, {"postscript_marker": "P.P.S"}, {"postscript_marker": "PS:"}],
        ["Text.\n\nP.S. more", "Text. PS more", "p. s. small", "x P.P.S y", "P. P. S. spaced", "P.P.S. dotted", "PS: note", "ps: note",
         "P.\nS. apart", "P*.*S. starred"]),
    "detectable_format:number_bullet_lists": (
        [{"num_bullets": 2}, {"num_bullets": 3}, {"num_bullets": 1}],
        ["* a\n* b", "* a\n* b\n* c", "- a\n* b", "a\nb", "** a\n* b", "*a*\n*b*", "  * a\n\n\n  - b", "*\na\n*\nb", "---\n- a", "1. a\n2. b",
         "List:\n- a\n- b\n- c", "* a\n** b\n  *** c"]),
    "detectable_format:constrained_response": (
        [{}], ["My answer is maybe.", "Maybe.", "Well, My answer is yes. Surely.", "my answer is no.", "My answer is no", "My *answer* is no."]),
    "detectable_format:number_highlighted_sections": (
        [{"num_highlights": 2}, {"num_highlights": 1}, {"num_highlights": 4}],
        ["*one* and *two*", "*one* and ** **", "**one**", "**one** and **two**", "***one***", "* one\n* two", "*one\ntwo*", "**a** *b* ****", "* *"]),
    "detectable_format:multiple_sections": (
        [{"section_spliter": "SECTION", "num_sections": 2}, {"section_spliter": "Day ", "num_sections": 3}],
        ["SECTION 1\na\nSECTION 2\nb", "SECTION 1\na", "SECTION1 SECTION2", "SECTION  1 SECTION 2", "section 1 section 2", "Day 1 Day 22 Day\n3",
         "SECTION X\nSECTION Y", "SECTION *1*\nSECTION *2*"]),
    "detectable_format:json_format": (
        [{}],
        ["{\"a\": [1, 2]}", "{\"a\": [1, 2}", "```json\n{}\n```", "```\n[]\n```", "```JSON\n1\n```", "```Json {\"a\": \"\\u00e9\"}```", "text {\"a\": 1}",
         "\"just text\"", "true", "12e3", "{'a': 1}", "{\"a\": 1,}", "Here:\n{\"a\": 1}", "{\"a\": 1}\nBye", "[1, 2] // x", "```json\n{\"a\": 1}", "nul",
         "{\"a\": \"line\nbreak\"}", "{\"a\": 1, \"a\": 2}", "-", "01"]),
    "detectable_format:title": (
        [{}], ["<<A title>>\ntext", "<A title>\ntext", "<<>>", "<< >>", "<<<x>>>", "<<a\nb>>", "Sure!\n*<<Title>>*\nbye", "a << b and c >> d"]),
    "combination:two_responses": (
        [{}],
        ["one ****** one", "******one******two******", "one ****** two ****** three", "one******\n\n******two", "one *** two", "one ********** two",
         "one\n******\nONE", "Here:\n******\none\n******\ntwo"]),
    "combination:repeat_prompt": (
        [{"prompt_to_repeat": PROMPT}],
        ["Say it. Here is more.", "Here is more. Say it.", "  SAY IT. More", "Sure:\nSay it. More", "**Say it.** More", "Say it, more", "say it."]),
    "startend:end_checker": (
        [{"end_phrase": "That is all."}, {"end_phrase": " Any other questions? "}],
        ["Text. THAT IS ALL.", "That is all. Bye", "\"That is all.\"", "That is all.\nBye", "**That is all.**", "that is all. \n\n", "Any other questions?",
         "\"\"any other QUESTIONS?\"\""]),
    "startend:quotation": ([{}], ["\"quoted text\"", "\"quoted text", "  \"x\"\n", "\"", "\"\"", "Sure:\n\"x\"", "“x”", "*\"x\"*", "'x'"]),
    "change_case:english_capital": (
        [{}], ["THIS IS AN ANSWER OF THE KIND THAT WAS ASKED FOR, AND IT HAS 3 NUMBERS.", "This Is Not THE ANSWER that was asked for",
               "DAS IST EIN GANZ GEWÖHNLICHER DEUTSCHER SATZ ÜBER DAS WETTER VON HEUTE UND NICHT MEHR", "Sure:\nTHIS IS THE ANSWER THAT WAS ASKED FOR"]),
    "change_case:english_lowercase": (
        [{}], ["this is an answer of the kind that was asked for, and it has 3 numbers.", "this is the Answer that was asked for",
               "das ist ein ganz gewöhnlicher deutscher satz über das wetter von heute und nicht mehr", "Sure:\nthis is the answer that was asked for"]),
    "change_case:capital_word_frequency": (
        [{"capital_frequency": n, "capital_relation": "at least"} for n in (1, 2, 3, 4)] + [{"capital_frequency": 2, "capital_relation": "less than"}],
        ["THIS is LOUD", "THIS is not", "I am A robot", "DON'T", "CAN'T STOP", "IT'S and IT's", "AT&T", "U.S.A. and U.S.", "STATE-OF-THE-ART",
         "A--B", "A...B", "HELLO,WORLD", "12,000 X:Y", "CANNOT", "GONNA GO", "(NASA) [ESA]", "WE'LL THEY'RE", "ÉCOLE Ünder", "X2 2X 22", "\"QUOTED\"",
         "O'K 'A' 'TIS", "A–B C—D", "*BOLD* **BOTH**", "A/B TESTS", "EMAIL@ME.COM", "DON’T", "BOYS' TOYS", "A;B$C%D"]),
    "punctuation:no_comma": ([{}], ["A line without any", "One, two", "Sure, here:\nNo such mark", "1，000、x"]),
}


def verdicts(name, kwargs, answer):
    example = utils.InputExample(key=0, instruction_id_list=[name], prompt=PROMPT, kwargs=[kwargs])
    langdetect.DetectorFactory.seed = 0
    strict = utils.test_instruction_following_strict(example, answer)
    loose = utils.test_instruction_following_loose(example, answer)
    return [answer, strict.follow_all_instructions, loose.follow_all_instructions]


def main():
    for name, version in PINNED.items():
        if importlib.metadata.version(name) != version:
            raise SystemExit(f"{name} is {importlib.metadata.version(name)}, the goldens need {version}")
    cut = nltk.tokenize.word_tokenize
    nltk.word_tokenize = lambda text: cut(text, preserve_line=True)
    lines = []
    for name, (arguments, answers) in CASES.items():
        common = [a for a in COMMON if not (name.startswith("change_case:english") and a.startswith("```"))]
        for kwargs in arguments:
            lines.append((name, kwargs, [verdicts(name, kwargs, a) for a in answers + common]))
    for code in LANGUAGES:
        others = list(LANGUAGES)
        others = [code] + [others[(others.index(code) + step) % len(others)] for step in (1, 2, 5, 9)]
        answers = [verdicts("language:response_language", {"language": code}, LANGUAGES[each]) for each in others]
        lines.append(("language:response_language", {"language": code}, answers))
    OUT.parent.mkdir(exist_ok=True)
    with open(OUT, "w", encoding="utf8") as file:
        for name, kwargs, answers in lines:
            record = {"instruction": name, "prompt": PROMPT, "kwargs": kwargs, "answers": answers}
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
    print(sum(len(a) for _, _, a in lines), "answers,", OUT.stat().st_size, "bytes")


main()
