// The makers that the catalogue of normalisers lists, one file each or one for a small family.
// Internal to normalize/.
#pragma once

#include "lathe/text/normalize/normalizer.h"

namespace lathe {

void make_nfc(const text_json::Json& json, const NormalizerSteps& to);
void make_nfd(const text_json::Json& json, const NormalizerSteps& to);
void make_nfkc(const text_json::Json& json, const NormalizerSteps& to);
void make_nfkd(const text_json::Json& json, const NormalizerSteps& to);
void make_nfkc_cf(const text_json::Json& json, const NormalizerSteps& to);
void make_lowercase(const text_json::Json& json, const NormalizerSteps& to);
void make_strip(const text_json::Json& json, const NormalizerSteps& to);
void make_strip_accents(const text_json::Json& json, const NormalizerSteps& to);
void make_nmt(const text_json::Json& json, const NormalizerSteps& to);
void make_bert_normalizer(const text_json::Json& json, const NormalizerSteps& to);
void make_replace(const text_json::Json& json, const NormalizerSteps& to);
void make_prepend(const text_json::Json& json, const NormalizerSteps& to);
void make_byte_level_normalizer(const text_json::Json& json, const NormalizerSteps& to);
void make_precompiled(const text_json::Json& json, const NormalizerSteps& to);
void make_sentencepiece(const text_json::Json& json, const NormalizerSteps& to);

// What BertNormalizer is made of beside its own step.
std::unique_ptr<Normalizer::Step> nfd_step();
std::unique_ptr<Normalizer::Step> lowercase_step();
// What NFKC_CF is made of beside NFKC.
std::unique_ptr<Normalizer::Step> fold_case_step();

}  // namespace lathe
