// Values are nodes in one arena that point to each other, so that nothing is copied, a deeply
// nested value is freed without recursion, and one that contains itself does no harm. Each
// instruction makes at most one node.

#include "lathe/io/torch_pickle.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <unordered_map>
#include <unordered_set>

#include "lathe/base/error.h"
#include "lathe/tensor/dtype.h"

namespace lathe {
namespace {

constexpr size_t kMaxBytes = 100'000'000, kMaxNodes = 5'000'000, kMaxDimensions = 64,
                 kMaxKeyBytes = 64;  // of a storage's name, which many tensors may share

enum class Global : uint8_t { kOrderedDict, kRebuildTensor, kRebuildParameter, kStorageType };

struct KnownGlobal {
  std::string_view module, name;
  Global what;
  std::string_view dtype = {};  // of the elements of a storage type
};
// Everything that a pickle may refer to.
constexpr KnownGlobal kGlobals[] = {
    {"collections", "OrderedDict", Global::kOrderedDict},
    {"torch._utils", "_rebuild_tensor_v2", Global::kRebuildTensor},
    {"torch._utils", "_rebuild_parameter", Global::kRebuildParameter},
    {"torch", "FloatStorage", Global::kStorageType, safetensors_name(DType::kF32)},
    {"torch", "DoubleStorage", Global::kStorageType, safetensors_name(DType::kF64)},
    {"torch", "HalfStorage", Global::kStorageType, safetensors_name(DType::kF16)},
    {"torch", "BFloat16Storage", Global::kStorageType, safetensors_name(DType::kBF16)},
    {"torch", "LongStorage", Global::kStorageType, safetensors_name(DType::kI64)},
    {"torch", "IntStorage", Global::kStorageType, safetensors_name(DType::kI32)},
    {"torch", "ShortStorage", Global::kStorageType, "I16"},
    {"torch", "CharStorage", Global::kStorageType, "I8"},
    {"torch", "ByteStorage", Global::kStorageType, safetensors_name(DType::kU8)},
    {"torch", "BoolStorage", Global::kStorageType, "BOOL"},
};

struct Node {
  enum class Kind : uint8_t {
    kNone,
    kBool,
    kNumber,
    kText,
    kTuple,
    kList,
    kDict,     // items: key, value, key, value, …
    kGlobal,   // number: index into kGlobals
    kStorage,  // items: "storage", its type, its key, the device, elements
    kTensor,   // items: storage, offset, shape, strides, …
  };
  Kind kind = Kind::kNone;
  int64_t number = 0;
  std::string_view text = {};
  std::vector<Node*> items = {};
};
using Kind = Node::Kind;

std::string_view name_of(Kind kind) {
  switch (kind) {
    case Kind::kNone:
      return "None";
    case Kind::kBool:
      return "a boolean";
    case Kind::kNumber:
      return "a number";
    case Kind::kText:
      return "a string";
    case Kind::kTuple:
      return "a tuple";
    case Kind::kList:
      return "a list";
    case Kind::kDict:
      return "a dictionary";
    case Kind::kGlobal:
      return "a name";
    case Kind::kStorage:
      return "a storage";
    case Kind::kTensor:
      return "a tensor";
  }
  return "";
}

class Machine {
 public:
  Machine(std::string_view pickle, std::string_view where) : rest_(pickle), where_(where) {}

  // Runs to the end; the value that is left.
  const Node& run() {
    while (step(static_cast<uint8_t>(take(1)[0]))) {
    }
    Node* top = pop();
    require(stack_.empty() && marks_.empty(), ErrorKind::kFormat, where_,
            "the pickle leaves more than one value");
    return *top;
  }

 private:
  template <class... Args>
  void expect(bool condition, fmt::format_string<Args...> format, Args&&... args) const {
    require(condition, ErrorKind::kFormat, where_, format, std::forward<Args>(args)...);
  }

  // --- bytes ---

  std::string_view take(size_t count) {
    expect(count <= rest_.size(), "the pickle ends in the middle; it is truncated or damaged");
    const std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }
  template <class T>
  T number() {
    T value;
    std::memcpy(&value, take(sizeof(T)).data(), sizeof(T));
    return value;
  }
  std::string_view line() {
    const size_t end = rest_.find('\n');
    expect(end != std::string_view::npos, "the pickle ends in the middle of a name");
    const std::string_view text = take(end);
    take(1);
    return text;
  }
  // Little-endian two's complement of up to eight bytes.
  int64_t long_number() {
    const size_t count = number<uint8_t>();
    expect(count <= sizeof(int64_t), "a number of {} bytes; expected at most 8", count);
    const std::string_view bytes = take(count);
    const bool negative = count > 0 && (bytes.back() & 0x80) != 0;
    int64_t value = negative ? -1 : 0;
    std::memcpy(&value, bytes.data(), count);
    return value;
  }

  // --- stack ---

  void push(Node* node) { stack_.push_back(node); }
  void add(Node node) { push(make(std::move(node))); }
  Node* make(Node node) {
    expect(nodes_.size() < kMaxNodes, "the pickle has more than {} values", kMaxNodes);
    return &nodes_.emplace_back(std::move(node));
  }
  size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
  Node* pop() {
    expect(stack_.size() > floor(), "the pickle takes a value that is not there; it is damaged");
    Node* node = stack_.back();
    stack_.pop_back();
    return node;
  }
  Node& top(Kind kind) {
    Node* node = pop();
    push(node);
    expect(node->kind == kind, "the pickle has {} where {} belongs", name_of(node->kind),
           name_of(kind));
    return *node;
  }
  std::vector<Node*> pop_to_mark() {
    expect(!marks_.empty(), "the pickle has no mark where one belongs; it is damaged");
    const auto first = stack_.begin() + static_cast<ptrdiff_t>(marks_.back());
    std::vector<Node*> items(first, stack_.end());
    stack_.erase(first, stack_.end());
    marks_.pop_back();
    return items;
  }
  void push_tuple(size_t count) {
    Node tuple{Kind::kTuple};
    for (size_t i = 0; i < count; ++i) tuple.items.push_back(pop());
    std::reverse(tuple.items.begin(), tuple.items.end());
    add(std::move(tuple));
  }
  // Containers alone change after they were made.
  void extend_top(Kind kind, const std::vector<Node*>& items) {
    expect(kind != Kind::kDict || items.size() % 2 == 0, "the pickle has a key without a value");
    auto& all = top(kind).items;
    all.insert(all.end(), items.begin(), items.end());
  }
  void remember(uint32_t key) {
    Node* node = pop();
    push(node);
    memo_[key] = node;
  }
  void recall(uint32_t key) {
    const auto found = memo_.find(key);
    expect(found != memo_.end(), "the pickle refers to a value {} that it has not made", key);
    push(found->second);
  }

  // --- what torch means by it ---

  void push_global() {
    const std::string_view module = line(), name = line();
    for (size_t i = 0; i < std::size(kGlobals); ++i)
      if (kGlobals[i].module == module && kGlobals[i].name == name)
        return add({Kind::kGlobal, static_cast<int64_t>(i)});
    expect(false,
           "refers to '{}.{}', which no file of plain weights needs; nothing in it was executed. "
           "If you trust its source, convert it to safetensors with the program that made it",
           module.substr(0, 100), name.substr(0, 100));
  }

  void push_storage() {
    Node* id = pop();
    const auto& i = id->items;
    const bool known = id->kind == Kind::kTuple && i.size() == 5 && i[0]->kind == Kind::kText &&
                       i[0]->text == "storage" && i[1]->kind == Kind::kGlobal &&
                       kGlobals[i[1]->number].what == Global::kStorageType &&
                       i[2]->kind == Kind::kText && i[2]->text.size() <= kMaxKeyBytes &&
                       i[3]->kind == Kind::kText && i[4]->kind == Kind::kNumber &&
                       i[4]->number >= 0;
    expect(known, "the pickle refers to something outside that is not the storage of a tensor");
    add({Kind::kStorage, 0, {}, i});
  }

  static bool is_list_of_sizes(const Node& n) {
    return n.kind == Kind::kTuple && n.items.size() <= kMaxDimensions &&
           std::ranges::all_of(n.items,
                               [](Node* i) { return i->kind == Kind::kNumber && i->number >= 0; });
  }

  void push_tensor(const std::vector<Node*>& a) {
    // storage, offset, shape, strides, requires_grad, hooks[, metadata]
    const bool known = (a.size() == 6 || a.size() == 7) && a[0]->kind == Kind::kStorage &&
                       a[1]->kind == Kind::kNumber && a[1]->number >= 0 &&
                       is_list_of_sizes(*a[2]) && is_list_of_sizes(*a[3]) &&
                       a[2]->items.size() == a[3]->items.size();
    expect(known, "the pickle has a tensor whose storage, offset, shape or strides make no sense");
    add({Kind::kTensor, 0, {}, a});
  }

  void call() {
    Node* arguments = pop();
    Node* function = pop();
    expect(function->kind == Kind::kGlobal && arguments->kind == Kind::kTuple,
           "the pickle calls {}; expected a known name with a tuple", name_of(function->kind));
    const auto& a = arguments->items;
    switch (kGlobals[function->number].what) {
      case Global::kOrderedDict:
        expect(a.empty(), "the pickle makes an OrderedDict of something; expected an empty one");
        return add({Kind::kDict});
      case Global::kRebuildTensor:
        return push_tensor(a);
      case Global::kRebuildParameter:
        expect(a.size() == 3 && a[0]->kind == Kind::kTensor, "the pickle has a parameter of {}",
               a.empty() ? "nothing" : name_of(a[0]->kind));
        return push(a[0]);
      case Global::kStorageType:
        expect(false, "the pickle calls a type of storage");
    }
  }

  // One instruction; false after the last. The letters are those of pickletools.
  bool step(uint8_t op) {
    switch (op) {
      case 0x80: {  // PROTO
        const auto version = number<uint8_t>();
        expect(version == 2, "pickle protocol {}; expected 2, which torch.save writes by default",
               version);
        break;
      }
      case '.':  // STOP
        return false;
      case 'c':  // GLOBAL
        push_global();
        break;
      case 'R':  // REDUCE
        call();
        break;
      case 'Q':  // BINPERSID
        push_storage();
        break;
      case 'b':  // BUILD: attributes of a dictionary (_metadata), which say nothing about tensors
        pop();
        top(Kind::kDict);
        break;
      case 'q':  // BINPUT
        remember(number<uint8_t>());
        break;
      case 'r':  // LONG_BINPUT
        remember(number<uint32_t>());
        break;
      case 'h':  // BINGET
        recall(number<uint8_t>());
        break;
      case 'j':  // LONG_BINGET
        recall(number<uint32_t>());
        break;
      default:
        step_container(op);
    }
    return true;
  }

  void step_container(uint8_t op) {
    switch (op) {
      case '(':  // MARK
        marks_.push_back(stack_.size());
        break;
      case ')':   // EMPTY_TUPLE
      case 0x85:  // TUPLE1
      case 0x86:  // TUPLE2
      case 0x87:  // TUPLE3
        push_tuple(op == ')' ? 0 : static_cast<size_t>(op - 0x84));
        break;
      case 't':  // TUPLE
        add({Kind::kTuple, 0, {}, pop_to_mark()});
        break;
      case ']':  // EMPTY_LIST
        add({Kind::kList});
        break;
      case '}':  // EMPTY_DICT
        add({Kind::kDict});
        break;
      case 'a': {  // APPEND
        Node* item = pop();
        extend_top(Kind::kList, {item});
        break;
      }
      case 'e':  // APPENDS
        extend_top(Kind::kList, pop_to_mark());
        break;
      case 's': {  // SETITEM
        Node* value = pop();
        Node* key = pop();
        extend_top(Kind::kDict, {key, value});
        break;
      }
      case 'u':  // SETITEMS
        extend_top(Kind::kDict, pop_to_mark());
        break;
      default:
        step_value(op);
    }
  }

  void step_value(uint8_t op) {
    switch (op) {
      case 'N':  // NONE
        return add({Kind::kNone});
      case 0x88:  // NEWTRUE
      case 0x89:  // NEWFALSE
        return add({Kind::kBool, op == 0x88});
      case 'K':  // BININT1
        return add({Kind::kNumber, number<uint8_t>()});
      case 'M':  // BININT2
        return add({Kind::kNumber, number<uint16_t>()});
      case 'J':  // BININT
        return add({Kind::kNumber, number<int32_t>()});
      case 0x8A:  // LONG1
        return add({Kind::kNumber, long_number()});
      case 'X': {  // BINUNICODE
        const auto length = number<uint32_t>();
        return add({Kind::kText, 0, take(length)});
      }
      default:
        expect(false,
               "the pickle has the instruction {:#04x}, which files of plain weights do not need; "
               "convert it to safetensors with the program that made it",
               op);
    }
  }

  std::string_view rest_, where_;
  std::deque<Node> nodes_;  // which stay where they are
  std::vector<Node*> stack_;
  std::vector<size_t> marks_;  // heights of the stack
  std::unordered_map<uint32_t, Node*> memo_;
};

std::vector<int64_t> numbers_of(const Node& list) {
  std::vector<int64_t> numbers;
  for (const Node* item : list.items) numbers.push_back(item->number);
  return numbers;
}

TorchView view_of(std::string_view name, const Node& tensor) {
  const Node& storage = *tensor.items[0];
  return {.name = name,
          .dtype = kGlobals[storage.items[1]->number].dtype,
          .storage = storage.items[2]->text,
          .storage_elements = storage.items[4]->number,
          .offset = tensor.items[1]->number,
          .shape = numbers_of(*tensor.items[2]),
          .strides = numbers_of(*tensor.items[3])};
}

}  // namespace

std::vector<TorchView> parse_torch_pickle(std::string_view pickle, std::string_view where) {
  require(pickle.size() <= kMaxBytes, ErrorKind::kFormat, where,
          "has a pickle of {} bytes, above the limit of {}", pickle.size(), kMaxBytes);
  Machine machine(pickle, where);
  const Node& top = machine.run();
  require(top.kind == Kind::kDict, ErrorKind::kFormat, where,
          "holds {}, expected a dictionary of tensors (the state_dict of a model)",
          name_of(top.kind));
  std::vector<TorchView> views;
  std::unordered_set<std::string_view> names;
  for (size_t i = 0; i < top.items.size(); i += 2) {
    const Node &key = *top.items[i], &value = *top.items[i + 1];
    require(key.kind == Kind::kText, ErrorKind::kFormat, where,
            "has {} as a key, expected the name of a tensor", name_of(key.kind));
    require(value.kind == Kind::kTensor, ErrorKind::kFormat, where,
            "'{}' is {}, expected a tensor; save the model's state_dict() alone", key.text,
            name_of(value.kind));
    require(names.insert(key.text).second, ErrorKind::kFormat, where, "has two tensors '{}'",
            key.text);
    views.push_back(view_of(key.text, value));
  }
  return views;
}

}  // namespace lathe
