#include "tools/tensorboard.h"

#include <string.h>

/* ---- records ---- */

/* Bit by bit over the reflected polynomial: event files are small. */
uint32_t tensorboard_crc32c(const void *data, size_t bytes) {
  const unsigned char *at = data;
  uint32_t crc = 0xffffffffU;
  for (size_t i = 0; i < bytes; i++) {
    crc ^= at[i];
    for (int bit = 0; bit < 8; bit++) {
      crc = crc >> 1 ^ (0x82f63b78U & (0U - (crc & 1U)));
    }
  }
  return ~crc;
}

static uint32_t masked(const void *data, size_t bytes) {
  uint32_t crc = tensorboard_crc32c(data, bytes);
  return (crc >> 15 | crc << 17) + 0xa282ead8U;
}

static void put_little(unsigned char *to, uint64_t value, size_t bytes) {
  for (size_t i = 0; i < bytes; i++) {
    to[i] = (unsigned char)(value >> 8 * i);
  }
}

static void add_record(struct pbt_text *file, const struct pbt_text *event) {
  unsigned char word[8];
  put_little(word, event->length, 8);
  uint32_t crc = masked(word, 8);
  pbt_text_add_bytes(file, word, 8);
  put_little(word, crc, 4);
  pbt_text_add_bytes(file, word, 4);
  pbt_text_add_bytes(file, event->data, event->length);
  put_little(word, masked(event->data, event->length), 4);
  pbt_text_add_bytes(file, word, 4);
  if (event->status != PBT_OK) {
    file->status = event->status;
  }
}

/* ---- protocol buffers: a key is field number x 8 + wire type ---- */

enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

static void add_varint(struct pbt_text *to, uint64_t value) {
  unsigned char byte[10];
  size_t n = 0;
  do {
    byte[n] = (unsigned char)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
    value >>= 7;
    n++;
  } while (value > 0);
  pbt_text_add_bytes(to, byte, n);
}

static void add_fixed(struct pbt_text *to, unsigned field, const void *value,
                      size_t bytes) {
  unsigned char word[8];
  uint64_t bits = 0;
  if (bytes == 8) {
    memcpy(&bits, value, 8);
  } else {
    uint32_t half;
    memcpy(&half, value, 4);
    bits = half;
  }
  put_little(word, bits, bytes);
  add_varint(to, field * 8 + (bytes == 8 ? FIXED64 : FIXED32));
  pbt_text_add_bytes(to, word, bytes);
}

static void add_bytes(struct pbt_text *to, unsigned field, const void *data,
                      size_t bytes) {
  add_varint(to, field * 8 + BYTES);
  add_varint(to, bytes);
  pbt_text_add_bytes(to, data, bytes);
}

/* ---- events ---- */

void tensorboard_begin(struct pbt_text *file, double wall_time) {
  static const char version[] = "brain.Event:2";
  struct pbt_text event = {0};
  add_fixed(&event, 1, &wall_time, 8);
  add_bytes(&event, 3, version, sizeof version - 1);
  add_record(file, &event);
  pbt_text_free(&event);
}

void tensorboard_add(struct pbt_text *file, double wall_time, int64_t step,
                     const struct tensorboard_scalar scalar[], size_t n) {
  struct pbt_text event = {0}, summary = {0}, value = {0};
  add_fixed(&event, 1, &wall_time, 8);
  add_varint(&event, 2 * 8 + VARINT);
  add_varint(&event, (uint64_t)step);
  for (size_t i = 0; i < n; i++) {
    value.length = 0;
    add_bytes(&value, 1, scalar[i].tag, strlen(scalar[i].tag));
    add_fixed(&value, 2, &scalar[i].value, 4);
    add_bytes(&summary, 1, value.data, value.length);
  }
  add_bytes(&event, 5, n > 0 ? summary.data : "", summary.length);
  add_record(file, &event);
  pbt_text_free(&value);
  pbt_text_free(&summary);
  pbt_text_free(&event);
}
