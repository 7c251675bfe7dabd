/* safetensors.c: the file format of Hugging Face's safetensors, which NumPy, PyTorch and Keras users can read and write:
 *
 *     length of the header (8 bytes, little endian), header (JSON, padded with spaces), values
 *     {"__metadata__": {"key": "text"}, "name": {"dtype": "F32", "shape": [784, 100], "data_offsets": [0, 313600]}} */
#include "runtime.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { LONGEST_HEADER = 100000000, ALIGNMENT = 8 };

static const char metadata_key[] = "__metadata__";

/* ── Reading ── */

static int damaged(const gdl_safetensors *file, gdl_error *error, const char *what) {
    return gdl_fail(error, "%s is not a whole safetensors file: %s", file->path, what);
}

/* A whole number that a double holds exactly. */
static bool whole(const cJSON *item, uint64_t *value) {
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble <= 9007199254740992.0))
        return false;
    *value = (uint64_t)item->valuedouble;
    return (double)*value == item->valuedouble;
}

static bool parse_shape(const cJSON *shape, gdl_record *record) {
    const cJSON *item;
    if (!cJSON_IsArray(shape))
        return false;
    record->size = 1;
    cJSON_ArrayForEach (item, shape) {
        uint64_t extent;
        if (record->rank == GDL_MAX_RANK || !whole(item, &extent) || !gdl_multiply(&record->size, (size_t)extent))
            return false;
        record->shape[record->rank++] = (size_t)extent;
    }
    return true;
}

/* One entry of the header. false where it is not what the format says, or lies outside the file. Other types than F32 and F64
 * are allowed in a file; *usable says whether this one can be read. */
static bool parse_record(const gdl_safetensors *file, const cJSON *entry, gdl_record *record, bool *usable) {
    uint64_t begin, end;
    const char *type = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(entry, "dtype"));
    const cJSON *offsets = cJSON_GetObjectItemCaseSensitive(entry, "data_offsets");
    *record = (gdl_record){0};
    if (!type || cJSON_GetArraySize(offsets) != 2 || !whole(cJSON_GetArrayItem(offsets, 0), &begin) ||
        !whole(cJSON_GetArrayItem(offsets, 1), &end) || begin > end || end > file->size ||
        !parse_shape(cJSON_GetObjectItemCaseSensitive(entry, "shape"), record))
        return false;
    record->begin = begin;
    record->wide = strcmp(type, "F64") == 0;
    *usable = record->wide || strcmp(type, "F32") == 0;
    size_t bytes = record->wide ? sizeof(double) : sizeof(float);
    return !*usable || (gdl_multiply(&bytes, record->size) && bytes == end - begin);
}

static bool is_metadata(const cJSON *entry) { return strcmp(entry->string, metadata_key) == 0; }

static int check_records(const gdl_safetensors *file, gdl_error *error) {
    const cJSON *entry;
    cJSON_ArrayForEach (entry, file->header) {
        gdl_record record;
        bool usable;
        if (!is_metadata(entry) && !parse_record(file, entry, &record, &usable))
            return gdl_fail(
                error, "%s is not a whole safetensors file: tensor %.100s has a shape, type or place that cannot be",
                file->path, entry->string);
    }
    return 0;
}

static int parse_header(gdl_safetensors *file, size_t length, gdl_error *error) {
    char *text = malloc(length + 1);
    if (!text)
        return gdl_fail(error, "%s: no memory for its header", file->path);
    bool whole_header = fread(text, 1, length, file->file) == length;
    text[length] = '\0';
    file->header = whole_header ? cJSON_ParseWithLength(text, length) : NULL;
    free(text);
    if (!cJSON_IsObject(file->header))
        return damaged(file, error, whole_header ? "its header is not a JSON object" : "it ends within its header");
    return check_records(file, error);
}

/* The size is compared with what the header claims before anything is allocated. */
static int read_header(gdl_safetensors *file, gdl_error *error) {
    struct stat status;
    unsigned char prefix[8];
    uint64_t length = 0;
    if (fstat(fileno(file->file), &status) || !S_ISREG(status.st_mode))
        return damaged(file, error, "it is not a regular file");
    if (fread(prefix, 1, sizeof prefix, file->file) != sizeof prefix)
        return damaged(file, error, "it is shorter than 8 bytes");
    for (int i = 7; i >= 0; i--)
        length = length << 8 | prefix[i];
    uint64_t rest = (uint64_t)status.st_size - sizeof prefix;
    if (length > rest || length > LONGEST_HEADER)
        return gdl_fail(error, "%s is not a whole safetensors file: its header claims %llu bytes, but only %llu follow",
                        file->path, (unsigned long long)length, (unsigned long long)rest);
    file->start = sizeof prefix + length;
    file->size = rest - length;
    return parse_header(file, (size_t)length, error);
}

int gdl_safetensors_open(gdl_safetensors *file, const char *path, gdl_error *error) {
    *file = (gdl_safetensors){.path = strdup(path), .file = fopen(path, "rb")};
    if (!file->path || !file->file) {
        int reason = file->path ? errno : ENOMEM;
        gdl_safetensors_close(file);
        return gdl_fail(error, "%s cannot be opened: %s", path, strerror(reason));
    }
    int result = read_header(file, error);
    if (result)
        gdl_safetensors_close(file);
    return result;
}

void gdl_safetensors_close(gdl_safetensors *file) {
    cJSON_Delete(file->header);
    if (file->file)
        fclose(file->file);
    free(file->path);
    *file = (gdl_safetensors){0};
}

bool gdl_safetensors_find(const gdl_safetensors *file, const char *name, gdl_record *record) {
    bool usable = false;
    const cJSON *entry = cJSON_GetObjectItemCaseSensitive(file->header, name);
    return entry && !is_metadata(entry) && parse_record(file, entry, record, &usable) && usable;
}

const char *gdl_safetensors_note(const gdl_safetensors *file, const char *key) {
    const cJSON *metadata = cJSON_GetObjectItemCaseSensitive(file->header, metadata_key);
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(metadata, key));
}

static bool read_wide(FILE *file, float *values, size_t size) {
    for (size_t i = 0; i < size; i++) {
        double value;
        if (fread(&value, sizeof value, 1, file) != 1)
            return false;
        gdl_little_endian(&value, 1, sizeof value);
        values[i] = (float)value;
    }
    return true;
}

static bool read_single(FILE *file, float *values, size_t size) {
    bool whole_tensor = fread(values, sizeof *values, size, file) == size;
    gdl_little_endian(values, size, sizeof *values);
    return whole_tensor;
}

int gdl_safetensors_read(const gdl_safetensors *file, const gdl_record *record, float *values, gdl_error *error) {
    if (fseeko(file->file, (off_t)(file->start + record->begin), SEEK_SET))
        return gdl_fail(error, "%s cannot be read: %s", file->path, strerror(errno));
    if (!(record->wide ? read_wide : read_single)(file->file, values, record->size))
        return damaged(file, error, "it ends within its values");
    return 0;
}

/* ── Writing ── */

static cJSON *numbers(const size_t *values, size_t count) {
    cJSON *array = cJSON_CreateArray();
    for (size_t i = 0; i < count; i++)
        cJSON_AddItemToArray(array, cJSON_CreateNumber((double)values[i]));
    return array;
}

static cJSON *build_header(const gdl_named *tensors, size_t count, const cJSON *metadata) {
    cJSON *header = cJSON_CreateObject();
    size_t begin = 0;
    if (metadata)
        cJSON_AddItemToObject(header, metadata_key, cJSON_Duplicate(metadata, 1));
    for (size_t t = 0; t < count; t++) {
        const size_t offsets[] = {begin, begin + tensors[t].size * sizeof(float)};
        cJSON *entry = cJSON_AddObjectToObject(header, tensors[t].name);
        cJSON_AddStringToObject(entry, "dtype", "F32");
        cJSON_AddItemToObject(entry, "shape", numbers(tensors[t].shape, tensors[t].rank));
        cJSON_AddItemToObject(entry, "data_offsets", numbers(offsets, 2));
        begin = offsets[1];
    }
    return header;
}

static void write_header(FILE *file, const char *text) {
    uint64_t length = strlen(text);
    uint64_t padded = (length + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    for (int i = 0; i < 8; i++)
        fputc((int)(padded >> (8 * i) & 0xff), file);
    fwrite(text, 1, length, file);
    for (; length < padded; length++)
        fputc(' ', file);
}

int gdl_safetensors_write(const char *path, const gdl_named *tensors, size_t count, const cJSON *metadata,
                          gdl_error *error) {
    gdl_output output;
    cJSON *header = build_header(tensors, count, metadata);
    char *text = cJSON_PrintUnformatted(header);
    cJSON_Delete(header);
    if (!text)
        return gdl_fail(error, "%s cannot be written: no memory", path);
    int result = gdl_output_open(&output, path, error);
    if (!result) {
        write_header(output.file, text);
        for (size_t t = 0; t < count; t++)
            gdl_write_floats(output.file, tensors[t].values, tensors[t].size);
        result = gdl_output_commit(&output, error);
    }
    cJSON_free(text);
    return result;
}
