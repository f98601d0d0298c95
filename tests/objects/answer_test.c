/* What S3 answers, and what no S3 should. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "objects/answer.h"

struct seen {
    size_t n;
    struct answer_object last;
};

static int note(void *self, const struct answer_object *object, struct error *err)
{
    struct seen *s = self;

    (void)err;
    s->n++;
    s->last = *object;
    return 0;
}

static int read_page(const char *text, struct seen *seen, struct answer_page *page)
{
    struct error err = ERROR_INIT;

    *seen = (struct seen){.n = 0};
    *page = (struct answer_page){.each = note, .self = seen};
    return answer_read_page(text, strlen(text), page, &err);
}

static void a_page_gives_its_objects_and_the_next(void **state)
{
    struct answer_page page;
    struct seen seen;

    (void)state;
    assert_int_equal(
        read_page("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                  "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
                  "<IsTruncated>true</IsTruncated><NextContinuationToken>a/b+c=</"
                  "NextContinuationToken>"
                  "<Contents><Key>p/1&amp;2</Key><Size>17</Size>"
                  "<LastModified>1970-01-02T00:00:05.000Z</LastModified></Contents>"
                  "<Contents><Size>5</Size><Owner><ID>x</ID></Owner><Key>q</Key></Contents>"
                  "</ListBucketResult>",
                  &seen, &page),
        0);
    assert_int_equal(seen.n, 2);
    assert_string_equal(seen.last.key, "q");
    assert_int_equal(seen.last.size, 5);
    assert_string_equal(page.next, "a/b+c=");
}

static void what_is_no_page_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "<ListBucketResult>",
        "<Error><Code>x</Code></Error>",
        "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
        "<ListBucketResult><Contents><Key>a</Key></Contents></ListBucketResult>",
        "<ListBucketResult><Contents><Key>a</Key><Size>-1</Size></Contents></ListBucketResult>",
        "<!DOCTYPE a [<!ENTITY b \"c\">]><ListBucketResult></ListBucketResult>",
        "<a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a></a></a></a></a></a></a></a></a></a></"
        "a>"
        "</a></a></a></a></a></a></a>",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct answer_page page;
        struct seen seen;

        assert_int_equal(read_page(texts[i], &seen, &page), -1);
    }
}

static int note_upload(void *self, const struct answer_upload *upload, struct error *err)
{
    (void)err;
    *(struct answer_upload *)self = *upload;
    return 0;
}

static void a_page_of_puts_in_parts_gives_each_and_the_next(void **state)
{
    static const char text[] =
        "<ListMultipartUploadsResult><KeyMarker></KeyMarker><NextKeyMarker>k2</NextKeyMarker>"
        "<NextUploadIdMarker>i2</NextUploadIdMarker><IsTruncated>true</IsTruncated>"
        "<Upload><Key>k1</Key><UploadId>i1</UploadId><Initiator><ID>x</ID></Initiator>"
        "<Initiated>1970-01-02T00:00:05.000Z</Initiated></Upload></ListMultipartUploadsResult>";
    static const char *const bad[] = {
        "<ListBucketResult></ListBucketResult>",
        "<ListMultipartUploadsResult><IsTruncated>true</IsTruncated></ListMultipartUploadsResult>",
        "<ListMultipartUploadsResult><Upload><Key>k</Key></Upload></ListMultipartUploadsResult>",
    };
    struct answer_upload last;
    struct answer_uploads page = {.each = note_upload, .self = &last};
    struct error err = ERROR_INIT;

    (void)state;
    assert_int_equal(answer_read_uploads(text, strlen(text), &page, &err), 0);
    assert_string_equal(last.key, "k1");
    assert_string_equal(last.id, "i1");
    assert_int_equal(last.begun, 86405);
    assert_string_equal(page.next_key, "k2");
    assert_string_equal(page.next_id, "i2");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(answer_read_uploads(bad[i], strlen(bad[i]), &page, &err), -1);
}

static void a_value_that_is_too_long_is_refused(void **state)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(64 << 10);
    struct answer_page page;
    struct seen seen;

    (void)state;
    buf_adds(&text, "<ListBucketResult><Contents><Size>1</Size><Key>");
    for (size_t i = 0; i < ANSWER_VALUE; i++)
        buf_addc(&text, 'k');
    buf_adds(&text, "</Key></Contents></ListBucketResult>");
    assert_int_equal(read_page(buf_str(&text), &seen, &page), -1);
}

static void an_error_is_read_and_what_is_none_is_empty(void **state)
{
    static const char text[] = "<Error><Code>NoSuchKey</Code><Message>gone</Message></Error>";
    struct answer_error e;

    (void)state;
    answer_read_error(text, strlen(text), &e);
    assert_string_equal(e.code, "NoSuchKey");
    assert_string_equal(e.message, "gone");
    answer_read_error("<html>", 6, &e);
    assert_string_equal(e.code, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_gives_its_objects_and_the_next),
        cmocka_unit_test(what_is_no_page_is_refused),
        cmocka_unit_test(a_page_of_puts_in_parts_gives_each_and_the_next),
        cmocka_unit_test(a_value_that_is_too_long_is_refused),
        cmocka_unit_test(an_error_is_read_and_what_is_none_is_empty),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
