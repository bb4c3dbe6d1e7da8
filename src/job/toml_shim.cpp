/*
 * The boundary between C and toml++ 3: text in, flat list out.
 *
 * The document is walked once into C++ vectors, with strings as offsets into one growing
 * buffer, and then copied into two blocks of counted memory.  Tables are sorted maps in
 * toml++, so children are put back into the order of the file by the place of their keys.
 */
#include <toml++/toml.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

extern "C" {             // the headers of base/ are C
#include "base/memory.h" // pbt_mem_alloc
#include "base/status.h" // pbt_fail
}
#include "job/toml_shim.h"

namespace {

/* Every level of nesting costs stack in the parser and in the destructors.  Brackets are
 * limited to 256 by toml++, dotted keys only by the dots in a line. */
constexpr int most_dots = 512;

struct flat_entry {
  pbt_toml_entry entry{};
  size_t key_at = 0;
  size_t string_at = 0;
};

struct walker {
  std::vector<flat_entry> list;
  std::string text;

  size_t keep(const std::string &value) {
    size_t at = text.size();
    text.append(value);
    text.push_back('\0');
    return at;
  }

  void visit(const std::string &key, const toml::source_position &key_place,
             const toml::node &node);
  void visit_table(const std::string &key, const toml::table &table);
};

bool is_bare(const std::string &part) {
  return !part.empty() && std::all_of(part.begin(), part.end(), [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '_' || c == '-';
  });
}

std::string spelled(const std::string &part) {
  if (is_bare(part)) {
    return part;
  }
  std::string quoted = "\"";
  for (unsigned char c : part) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
    }
    if (c < 0x20 || c == 0x7f) {
      static const char digit[] = "0123456789abcdef";
      quoted += std::string("\\u00") + digit[c >> 4] + digit[c & 15];
    } else {
      quoted += static_cast<char>(c);
    }
  }
  return quoted + "\"";
}

void walker::visit_table(const std::string &key, const toml::table &table) {
  std::vector<std::pair<const toml::key *, const toml::node *>> child;
  for (auto &&[name, node] : table) {
    child.emplace_back(&name, &node);
  }
  std::stable_sort(child.begin(), child.end(), [](const auto &a, const auto &b) {
    return a.first->source().begin < b.first->source().begin;
  });
  for (const auto &[name, node] : child) {
    std::string part = spelled(std::string(name->str()));
    visit(key.empty() ? part : key + "." + part, name->source().begin, *node);
  }
}

void walker::visit(const std::string &key, const toml::source_position &key_place,
                   const toml::node &node) {
  flat_entry flat;
  pbt_toml_entry &entry = flat.entry;
  flat.key_at = keep(key);
  entry.line = static_cast<int32_t>(node.source().begin.line);
  entry.column = static_cast<int32_t>(node.source().begin.column);
  entry.key_line = static_cast<int32_t>(key_place.line);
  entry.key_column = static_cast<int32_t>(key_place.column);
  if (const auto *string = node.as_string()) {
    entry.type = PBT_TOML_STRING;
    entry.bytes = string->get().size();
    flat.string_at = keep(string->get());
  } else if (const auto *integer = node.as_integer()) {
    entry.type = PBT_TOML_INTEGER;
    entry.integer = integer->get();
    entry.real = static_cast<double>(integer->get());
  } else if (const auto *real = node.as_floating_point()) {
    entry.type = PBT_TOML_FLOAT;
    entry.real = real->get();
  } else if (const auto *boolean = node.as_boolean()) {
    entry.type = PBT_TOML_BOOLEAN;
    entry.boolean = boolean->get();
  } else if (const auto *array = node.as_array()) {
    entry.type = PBT_TOML_ARRAY;
    entry.n_item = static_cast<int32_t>(array->size());
  } else {
    entry.type = node.is_table() ? PBT_TOML_TABLE : PBT_TOML_TIME;
  }
  list.push_back(flat);
  if (const auto *array = node.as_array()) {
    for (size_t i = 0; i < array->size(); i++) {
      const toml::node &item = (*array)[i];
      visit(key + "[" + std::to_string(i) + "]", item.source().begin, item);
    }
  } else if (const auto *table = node.as_table()) {
    visit_table(key, *table);
  }
}

pbt_status hand_over(const walker &walk, pbt_toml *toml) {
  void *entry = nullptr;
  void *text = nullptr;
  pbt_status status =
      pbt_mem_alloc_n(walk.list.size() + 1, sizeof(pbt_toml_entry), &entry);
  if (status != PBT_OK) {
    return status;
  }
  status = pbt_mem_alloc(walk.text.size() + 1, &text);
  if (status != PBT_OK) {
    pbt_mem_free(entry);
    return status;
  }
  toml->entry = static_cast<pbt_toml_entry *>(entry);
  toml->text = static_cast<char *>(text);
  toml->n = walk.list.size();
  std::memcpy(toml->text, walk.text.data(), walk.text.size());
  for (size_t i = 0; i < toml->n; i++) {
    toml->entry[i] = walk.list[i].entry;
    toml->entry[i].key = toml->text + walk.list[i].key_at;
    if (toml->entry[i].type == PBT_TOML_STRING) {
      toml->entry[i].string = toml->text + walk.list[i].string_at;
    }
  }
  return PBT_OK;
}

/* One printable line; a character cut in two at the end is dropped. */
void describe(pbt_toml_error *error, std::string_view what, unsigned line,
              unsigned column) {
  error->line = static_cast<int32_t>(line);
  error->column = static_cast<int32_t>(column);
  size_t n = std::min(what.size(), sizeof error->what - 1);
  while (n < what.size() && n > 0 && (static_cast<unsigned char>(what[n]) >> 6) == 2) {
    n--;
  }
  for (size_t i = 0; i < n; i++) {
    unsigned char c = static_cast<unsigned char>(what[i]);
    error->what[i] = c < 0x20 || c == 0x7f ? '?' : what[i];
  }
  error->what[n] = '\0';
}

bool too_deep(std::string_view text, pbt_toml_error *error) {
  int dots = 0;
  unsigned line = 1, column = 1;
  for (char c : text) {
    if (c == '.' && ++dots > most_dots) {
      describe(error, "more than 512 dots in a line: this is no job file", line, column);
      return true;
    }
    dots = c == '\n' ? 0 : dots;
    column = c == '\n' ? 1 : column + 1;
    line += c == '\n';
  }
  return false;
}

/* Runs `work`, which may throw, and turns what it throws into a status. */
template <typename Work> pbt_status guarded(pbt_toml_error *error, Work work) {
  try {
    return work();
  } catch (const toml::parse_error &failure) {
    const toml::source_position &place = failure.source().begin;
    describe(error, failure.description(), place.line, place.column);
    return PBT_ERR_DATA;
  } catch (const std::bad_alloc &) {
    return pbt_fail(PBT_ERR_UNAVAILABLE, "out of memory while reading the job");
  } catch (const std::exception &failure) {
    describe(error, failure.what(), 1, 1);
    return PBT_ERR_DATA;
  } catch (...) {
    return PBT_BUG("unknown exception from toml++");
  }
}

} // namespace

extern "C" pbt_status pbt_toml_parse(const char *text, size_t bytes, pbt_toml *toml,
                                     pbt_toml_error *error) {
  *toml = pbt_toml{};
  *error = pbt_toml_error{};
  std::string_view view(text, bytes);
  if (too_deep(view, error)) {
    return PBT_ERR_DATA;
  }
  return guarded(error, [&] {
    const toml::table table = toml::parse(view);
    walker walk;
    walk.visit_table("", table);
    return hand_over(walk, toml);
  });
}

extern "C" pbt_status pbt_toml_parse_value(const char *key, const char *value,
                                           pbt_toml *toml, pbt_toml_error *error) {
  *toml = pbt_toml{};
  *error = pbt_toml_error{};
  if (too_deep(value, error)) {
    return PBT_ERR_DATA;
  }
  return guarded(error, [&] {
    walker walk;
    std::string document = std::string("v = ") + value;
    const char first = value[std::strspn(value, " \t")];
    bool wants_toml = first != '\0' && std::strchr("\"'[{", first) != nullptr;
    toml::table table;
    try {
      table = toml::parse(document);
    } catch (const toml::parse_error &) {
      if (wants_toml) {
        throw;
      }
      table.insert_or_assign("v", std::string(value));
    }
    const toml::node *node = table.size() == 1 ? table.get("v") : nullptr;
    if (node == nullptr) { // a line break smuggled in more keys
      describe(error, "more than one value", 1, 1);
      return PBT_ERR_DATA;
    }
    walk.visit(key, node->source().begin, *node);
    return hand_over(walk, toml);
  });
}

extern "C" void pbt_toml_free(pbt_toml *toml) {
  pbt_mem_free(toml->entry);
  pbt_mem_free(toml->text);
  *toml = pbt_toml{};
}
