// Every normaliser, pre-tokeniser and decoder of the catalogues, with several values of its
// options, and chains of them as well-known tokenizers have them.
#pragma once

namespace lathe::testing {

inline constexpr const char* kNormalizerSamples[] = {
    R"({"type":"NFC"})", R"({"type":"NFD"})", R"({"type":"NFKC"})", R"({"type":"NFKD"})",
    R"({"type":"NFKC_CF"})", R"({"type":"Nmt"})", R"({"type":"Lowercase"})",
    R"({"type":"StripAccents"})", R"({"type":"ByteLevel"})",
    R"({"type":"Strip","strip_left":true,"strip_right":true})",
    R"({"type":"Strip","strip_left":true,"strip_right":false})",
    R"({"type":"Strip","strip_left":false,"strip_right":true})",
    R"({"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"strip_accents":null,"lowercase":true})",
    R"({"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":false,"strip_accents":true,"lowercase":false})",
    R"({"type":"BertNormalizer","clean_text":false,"handle_chinese_chars":true,"strip_accents":false,"lowercase":true})",
    R"({"type":"Replace","pattern":{"String":" "},"content":"▁"})",
    R"({"type":"Replace","pattern":{"String":"  "},"content":"_"})",
    R"({"type":"Replace","pattern":{"String":""},"content":"-"})",
    R"({"type":"Replace","pattern":{"Regex":" {2,}"},"content":" "})",
    R"({"type":"Replace","pattern":{"Regex":"x*"},"content":"-"})",
    R"({"type":"Prepend","prepend":"▁"})", R"({"type":"Sequence","normalizers":[]})",
    R"({"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},{"type":"Replace","pattern":{"String":" "},"content":"▁"}]})",
    R"({"type":"Sequence","normalizers":[{"type":"Nmt"},{"type":"NFKC"},{"type":"Strip","strip_left":true,"strip_right":true},{"type":"Replace","pattern":{"Regex":" {2,}"},"content":" "}]})",
    R"({"type":"Sequence","normalizers":[{"type":"NFD"},{"type":"Lowercase"},{"type":"StripAccents"}]})",
    // A map with one rule: the tab becomes a space.
    R"({"type":"Precompiled","precompiled_charsmap":"JAAAAAAEAAD/AAAAAAAAgP8AAAD/AAAA/wAAAP8AAAD/AAAACSkAACAA"})",
    R"({"type":"SentencePiece","precompiled_charsmap":"JAAAAAAEAAD/AAAAAAAAgP8AAAD/AAAA/wAAAP8AAAD/AAAACSkAACAA","keep_invalid_bytes":true})"};

inline constexpr const char* kPreTokenizerSamples[] = {
    R"({"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true})",
    R"({"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true})",
    R"({"type":"Metaspace","replacement":"▁","prepend_scheme":"always","split":true})",
    R"({"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":true})",
    R"({"type":"Metaspace","replacement":"_","prepend_scheme":"never","split":true})",
    R"({"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":false})",
    R"({"type":"Whitespace"})",
    R"({"type":"WhitespaceSplit"})",
    R"({"type":"BertPreTokenizer"})",
    R"({"type":"UnicodeScripts"})",
    R"({"type":"CharDelimiterSplit","delimiter":"a"})",
    R"({"type":"FixedLength","length":3})",
    R"({"type":"Digits","individual_digits":true})",
    R"({"type":"Digits","individual_digits":false})",
    R"({"type":"Punctuation","behavior":"Isolated"})",
    R"({"type":"Punctuation","behavior":"MergedWithPrevious"})",
    R"({"type":"Punctuation","behavior":"MergedWithNext"})",
    R"({"type":"Punctuation","behavior":"Contiguous"})",
    R"({"type":"Punctuation","behavior":"Removed"})",
    R"({"type":"Split","pattern":{"String":""},"behavior":"Isolated","invert":false})",
    R"({"type":"Split","pattern":{"String":" "},"behavior":"MergedWithNext","invert":true})",
    R"({"type":"Split","pattern":{"Regex":"x*"},"behavior":"Contiguous","invert":false})",
    R"json({"type":"Split","pattern":{"Regex":"\\p{N}{1,3}(?=(?:\\p{N}{3})*(?!\\p{N}))"},"behavior":"Isolated","invert":false})json",
    R"({"type":"Sequence","pretokenizers":[]})",
    R"({"type":"Sequence","pretokenizers":[{"type":"WhitespaceSplit"},{"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":true}]})",
    R"({"type":"Sequence","pretokenizers":[{"type":"UnicodeScripts"},{"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":true}]})",
    R"({"type":"Sequence","pretokenizers":[{"type":"FixedLength","length":1},{"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":false}]})",
    R"({"type":"Sequence","pretokenizers":[{"type":"Whitespace"},{"type":"Digits","individual_digits":true}]})"};

inline constexpr const char* kDecoderSamples[] = {
    "null",
    R"({"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true})",
    R"({"type":"Metaspace","replacement":"▁","prepend_scheme":"always","split":true})",
    R"({"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":true})",
    R"({"type":"Metaspace","replacement":"▁","prepend_scheme":"never","split":true})",
    R"({"type":"ByteFallback"})",
    R"({"type":"Fuse"})",
    R"({"type":"WordPiece","prefix":"##","cleanup":true})",
    R"({"type":"WordPiece","prefix":"##","cleanup":false})",
    R"({"type":"BPEDecoder","suffix":"</w>"})",
    R"({"type":"BPEDecoder","suffix":""})",
    R"({"type":"CTC","pad_token":"<pad>","word_delimiter_token":"|","cleanup":true})",
    R"({"type":"CTC","pad_token":"<pad>","word_delimiter_token":"|","cleanup":false})",
    R"({"type":"Strip","content":" ","start":1,"stop":0})",
    R"({"type":"Strip","content":"a","start":1,"stop":1})",
    R"({"type":"Replace","pattern":{"String":"▁"},"content":" "})",
    R"({"type":"Replace","pattern":{"String":""},"content":"-"})",
    R"({"type":"Replace","pattern":{"Regex":"a|^b"},"content":"-"})",
    R"({"type":"Sequence","decoders":[]})",
    R"({"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]})",
    R"({"type":"Sequence","decoders":[{"type":"ByteFallback"},{"type":"Metaspace","replacement":"▁","prepend_scheme":"always","split":true}]})",
    R"({"type":"Sequence","decoders":[{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Metaspace","replacement":"▁","prepend_scheme":"never","split":true},{"type":"Strip","content":" ","start":2,"stop":2}]})",
    R"({"type":"Sequence","decoders":[{"type":"Fuse"},{"type":"Replace","pattern":{"String":"aab"},"content":"-"},{"type":"Strip","content":"a","start":1,"stop":2}]})",
    R"({"type":"Sequence","decoders":[{"type":"Fuse"},{"type":"WordPiece","prefix":"##","cleanup":true}]})",
    R"({"type":"Sequence","decoders":[{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true},{"type":"BPEDecoder","suffix":"</w>"}]})",
    R"({"type":"Sequence","decoders":[{"type":"BPEDecoder","suffix":"</w>"},{"type":"WordPiece","prefix":"##","cleanup":true}]})"};

}  // namespace lathe::testing
