/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cidr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "base/str.h"

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static bool match_bits(const uint8_t a[16], const uint8_t b[16], unsigned prefix) {
        unsigned bytes = prefix / 8, bits = prefix % 8;

        if (memcmp(a, b, bytes) != 0)
                return false;
        return bits == 0 || (a[bytes] ^ b[bytes]) >> (8 - bits) == 0;
}

static bool has_bits_behind(const struct cidr *cidr) {
        for (unsigned bit = cidr->prefix; bit < 128; bit++)
                if (cidr->address[bit / 8] & (0x80 >> bit % 8))
                        return true;
        return false;
}

int cidr_parse(const char *text, struct cidr *ret_cidr) {
        char address[INET6_ADDRSTRLEN];
        const char *slash = strchrnul(text, '/');
        struct cidr cidr;
        uint64_t prefix;
        bool is_v4;

        if (str_copy_n(address, sizeof(address), text, (size_t) (slash - text)) < 0)
                return -EINVAL;
        memcpy(cidr.address, mapped_prefix, sizeof(mapped_prefix));
        is_v4 = inet_pton(AF_INET, address, cidr.address + 12) == 1;
        if (!is_v4 && inet_pton(AF_INET6, address, cidr.address) != 1)
                return -EINVAL;
        prefix = is_v4 ? 32 : 128;
        if (*slash && str_parse_uint64(slash + 1, 0, prefix, &prefix) < 0)
                return -EINVAL;
        cidr.prefix = (unsigned) prefix + (is_v4 ? 96 : 0);
        if (has_bits_behind(&cidr))
                return -EINVAL;
        *ret_cidr = cidr;
        return 0;
}

static bool address_bytes(const struct sockaddr *address, uint8_t bytes[16]) {
        if (address->sa_family == AF_INET) {
                memcpy(bytes, mapped_prefix, sizeof(mapped_prefix));
                memcpy(bytes + 12, &((const struct sockaddr_in *) (const void *) address)->sin_addr, 4);
                return true;
        }
        if (address->sa_family == AF_INET6) {
                memcpy(bytes, &((const struct sockaddr_in6 *) (const void *) address)->sin6_addr, 16);
                return true;
        }
        return false;
}

bool cidr_match(const struct cidr *cidr, const struct sockaddr *address) {
        uint8_t bytes[16];

        return address_bytes(address, bytes) && match_bits(cidr->address, bytes, cidr->prefix);
}

static bool bytes_in(const uint8_t bytes[16], const char *const *ranges, size_t n_ranges) {
        for (size_t i = 0; i < n_ranges; i++) {
                struct cidr cidr;

                if (cidr_parse(ranges[i], &cidr) == 0 && match_bits(cidr.address, bytes, cidr.prefix))
                        return true;
        }
        return false;
}

bool cidr_is_loopback(const struct sockaddr *address) {
        static const char *const ranges[] = {"127.0.0.0/8", "::1", "0.0.0.0", "::"};
        uint8_t bytes[16];

        return address_bytes(address, bytes) && bytes_in(bytes, ranges, ARRAY_SIZE(ranges));
}

/* IANA's special-purpose registries for IPv4, as of RFC 6890 and its updates. */
static bool is_public_v4(const uint8_t mapped[16]) {
        static const char *const special[] = {
                "0.0.0.0/8",    "10.0.0.0/8",     "100.64.0.0/10",  "127.0.0.0/8",   "169.254.0.0/16",  "172.16.0.0/12",  "192.0.0.0/24",
                "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3",
        };

        return !bytes_in(mapped, special, ARRAY_SIZE(special));
}

/* The address inside an IPv6 address that only wraps one, as mapped address. */
static bool unwrap_v4(const uint8_t bytes[16], uint8_t mapped[16]) {
        static const uint8_t nat64[12] = {0, 0x64, 0xff, 0x9b};
        const uint8_t *inside = NULL;

        if (memcmp(bytes, mapped_prefix, 12) == 0 || memcmp(bytes, nat64, 12) == 0)
                inside = bytes + 12;
        else if (bytes[0] == 0x20 && bytes[1] == 0x02)
                inside = bytes + 2;
        if (!inside)
                return false;
        memcpy(mapped, mapped_prefix, sizeof(mapped_prefix));
        memcpy(mapped + 12, inside, 4);
        return true;
}

bool cidr_is_public(const struct sockaddr *address) {
        /* Global unicast is 2000::/3 only; Teredo, ORCHID, benchmarking and documentation lie within. */
        static const char *const global[] = {"2000::/3"};
        static const char *const special[] = {"2001::/23", "2001:db8::/32", "3fff::/20"};
        uint8_t bytes[16], mapped[16];

        if (!address_bytes(address, bytes))
                return false;
        if (unwrap_v4(bytes, mapped))
                return is_public_v4(mapped);
        return bytes_in(bytes, global, ARRAY_SIZE(global)) && !bytes_in(bytes, special, ARRAY_SIZE(special));
}
