#include <gtest/gtest.h>

#include "lathe/documents/read/document.h"

namespace lathe {
namespace {

using Kind = Stretch::Kind;

// "kind level:words" of each stretch, one a line; the words of a stretch that has none are its bytes.
std::string shown(const std::string& text, const std::string& extension) {
  static const char* const kNames[] = {"heading", "text", "item", "code", "row"};
  std::string out;
  for (const Stretch& s : read_document(text, extension).stretches) {
    EXPECT_TRUE(0 <= s.begin && s.begin < s.end && s.end <= std::ssize(text));
    const std::string bytes =
        text.substr(static_cast<size_t>(s.begin), static_cast<size_t>(s.end - s.begin));
    out += kNames[static_cast<int>(s.kind)];
    if (s.level > 0) out += std::to_string(s.level);
    out += ":" + (s.words.empty() ? bytes : s.words) + "\n";
  }
  return out;
}

TEST(ReadDocument, PlainTextIsParagraphs) {
  EXPECT_EQ(shown("one\ntwo\r\n\r\n  three \n\n\n", ".txt"), "text:one\ntwo\ntext:three\n");
  EXPECT_EQ(shown("", ".txt"), "");
  EXPECT_EQ(shown(" \n\n", ".unknown"), "");
}

TEST(ReadDocument, Markdown) {
  const std::string text =
      "# Title #\n\nA paragraph\nof two lines.\n- one\n- two\n  goes on\n\n```\n# no heading\n\ncode\n```\n"
      "Under\n-----\n| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | |\n\nend";
  EXPECT_EQ(
      shown(text, ".md"),
      "heading1:Title\ntext:A paragraph\nof two lines.\nitem:- one\nitem:- two\n  goes on\n"
      "code:```\n# no heading\n\ncode\n```\nheading2:Under\nrow:a: 1; b: 2\nrow:a: 3; b: \ntext:end\n");
  EXPECT_EQ(read_document(text, ".MD").title, "Title");
  EXPECT_EQ(shown("```\nnever closed", ".md"), "code:```\nnever closed\n");
  EXPECT_EQ(shown("#no heading\n####### nor this", ".md"), "text:#no heading\n####### nor this\n");
}

TEST(ReadDocument, Rst) {
  EXPECT_EQ(shown("=====\nTitle\n=====\n\ntext\n\nPart\n----\n\nmore", ".rst"),
            "heading1:Title\ntext:text\nheading2:Part\ntext:more\n");
}

TEST(ReadDocument, Html) {
  const std::string text =
      "<title>T &amp; U</title><h1>Big</h1><p>A <b>heron</b> &lt;3 caf\xC3\xA9 &#8364;<br>next"
      "<script>var no = '<p>x</p>';</script><!-- <p>no</p> --><ul><li>one<li>two</ul>"
      "<table><tr><td>a<td>b</table><p>a < b";
  EXPECT_EQ(
      shown(text, ".html"),
      "heading1:Big\ntext:A heron <3 caf\xC3\xA9 \xE2\x82\xAC\ntext:next\nitem:one\nitem:two\nrow:a b\n"
      "text:a < b\n");
  EXPECT_EQ(read_document(text, ".html").title, "T & U");
  for (const char* broken :
       {"<", "<p", "<!--", "<script>", "&#xZZ;", "&#99999999999999999999;", "</"})
    read_document(broken, ".html");
}

TEST(ReadDocument, Json) {
  EXPECT_EQ(shown(R"({"a": "x\n\u00e9 \ud83d\ude00", "b": {"c": [1, "y"]}})", ".json"),
            "row:a: x \xC3\xA9 \xF0\x9F\x98\x80\nrow:c: 1\nrow:c: y\n");
  EXPECT_EQ(shown("{\"q\": \"one\", \"a\": 2}\n\n{\"q\": \"two\"}\n", ".jsonl"),
            "row:q: one; a: 2\nrow:q: two\n");
  EXPECT_EQ(shown(std::string(100'000, '['), ".json"), "");
  for (const char* broken : {"\"", "\"\\", "{\"a\": \"\\u12", "\"\\ud83d\\u", "-", "{\"a\":"})
    read_document(broken, ".json");
}

TEST(ReadDocument, Csv) {
  EXPECT_EQ(shown("name,says\nAnn,\"a, \"\"b\"\"\nc\"\nBob,\n", ".csv"),
            "row:name: Ann; says: a, \"b\"\nc\nrow:name: Bob\n");
  EXPECT_EQ(shown("a;b\n1;2", ".csv"), "row:a: 1; b: 2\n");
  EXPECT_EQ(shown("a\tb\n1\t2,3", ".tsv"), "row:a: 1; b: 2,3\n");
  EXPECT_EQ(shown("a,b\n\"never closed", ".csv"), "row:a: never closed\n");
}

TEST(ReadDocument, Tex) {
  EXPECT_EQ(
      shown(
          "\\title{On \\emph{Lathes}}\n\\begin{document}\n\\section*{One}\nA \\textbf{bold} word. % no\n\n"
          "50\\% more\n\\end{document}\nnot this",
          ".tex"),
      "heading3:One\ntext:A bold word.\ntext:50% more\n");
}

TEST(ReadDocument, Source) {
  EXPECT_EQ(shown("import a\n\ndef f():\n  x\n\n  y\n\ndef g():\n  z\n", ".py"),
            "code:import a\ncode:def f():\n  x\n\n  y\ncode:def g():\n  z\n");
}

}  // namespace
}  // namespace lathe
