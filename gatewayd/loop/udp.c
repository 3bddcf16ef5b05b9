/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/udp.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "loop/loop_internal.h"

#define UDP_HOST_SIZE 256 /* a DNS name with its terminator */
#define UDP_BATCH_MAX 16  /* datagrams of one system call */

enum udp_state {
        UDP_STATE_OPENING,
        UDP_STATE_OPEN,
        UDP_STATE_CLOSED,
};

struct udp_link {
        struct gw_link link;
        struct loop *loop;
        enum udp_state state;
        bool released;  /* the owner closed it: no callback any more */
        bool resolving; /* uv holds resolve.request */
        bool polling;   /* uv holds poll */
        bool want_writable;
        int fd;
        size_t max_datagram;
        size_t slot_size; /* of one datagram in the scratch buffer */
        size_t receive_buffer;
        uv_poll_t poll;
        struct loop_deferral next; /* the outcome of opening, told later */
        struct sockaddr_storage peer;
        const char *error_name; /* why opening failed, until that is told */
        int error_code;
        struct udp_resolve *resolve;
        struct udp_link_statistics statistics;
};

/* Only while a name is looked up. */
struct udp_resolve {
        uv_getaddrinfo_t request;
        char host[UDP_HOST_SIZE];
        uint16_t port;
};

static struct udp_link *udp_link_of(struct gw_link *link) {
        return container_of(link, struct udp_link, link);
}

/* ---- the end, in two phases: what libuv holds, then the memory */

static void udp_link_free_when_idle(struct udp_link *udp) {
        if (udp->resolving || udp->polling)
                return;
        if (udp->fd >= 0)
                close(udp->fd);
        loop_scratch_release(udp->loop);
        free(udp->resolve);
        free(udp);
}

static void on_poll_closed(uv_handle_t *handle) {
        struct udp_link *udp = handle->data;

        udp->polling = false;
        udp_link_free_when_idle(udp);
}

static void udp_link_close(struct gw_link *link) {
        struct udp_link *udp = udp_link_of(link);

        udp->released = true;
        loop_deferral_cancel(&udp->next);
        if (udp->resolving)
                uv_cancel((uv_req_t *) &udp->resolve->request);
        if (udp->polling)
                uv_close((uv_handle_t *) &udp->poll, on_poll_closed);
        udp_link_free_when_idle(udp);
}

/* Tells `closed` later. */
static void udp_link_fail(struct udp_link *udp, const char *name, int code) {
        udp->error_name = name;
        udp->error_code = code;
        loop_deferral_schedule(&udp->next);
}

/* ---- receiving */

/* An ICMP message left its error on the socket; taking it off keeps the next call from failing for an old reason. */
static void take_socket_error(struct udp_link *udp) {
        int error = 0;
        socklen_t size = sizeof error;

        if (getsockopt(udp->fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == ECONNREFUSED)
                udp->statistics.n_refused++;
}

static void deliver(struct udp_link *udp, struct mmsghdr *messages, int n_messages) {
        for (int i = 0; i < n_messages && !udp->released; i++) {
                struct msghdr *header = &messages[i].msg_hdr;

                if (header->msg_flags & MSG_TRUNC) {
                        udp->statistics.n_too_long++;
                        continue;
                }
                udp->statistics.n_received++;
                udp->link.handler->received(udp->link.handler_ctx, header->msg_iov->iov_base, messages[i].msg_len);
        }
}

/* One call takes all that waits; a socket with still more is reported again in the next turn, after the others had theirs. */
static void receive(struct udp_link *udp) {
        struct mmsghdr messages[UDP_BATCH_MAX];
        struct iovec slots[UDP_BATCH_MAX];
        size_t n_slots = MIN(LOOP_SCRATCH_SIZE / udp->slot_size, (size_t) UDP_BATCH_MAX);
        int n_received;

        for (size_t i = 0; i < n_slots; i++) {
                slots[i] = (struct iovec){ .iov_base = udp->loop->scratch + i * udp->slot_size, .iov_len = udp->slot_size };
                messages[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &slots[i], .msg_iovlen = 1 } };
        }
        n_received = recvmmsg(udp->fd, messages, (unsigned) n_slots, MSG_DONTWAIT, NULL);
        if (n_received < 0 && errno == ECONNREFUSED)
                udp->statistics.n_refused++;
        deliver(udp, messages, n_received);
}

static void on_poll(uv_poll_t *poll, int status, int events);

static void poll_start(struct udp_link *udp) {
        uv_poll_start(&udp->poll, UV_READABLE | (udp->want_writable ? UV_WRITABLE : 0), on_poll);
}

static void on_poll(uv_poll_t *poll, int status, int events) {
        struct udp_link *udp = poll->data;

        if (status < 0) {
                /* libuv stops a descriptor with a pending error; for UDP that is an ICMP message and passes. */
                take_socket_error(udp);
                poll_start(udp);
        }
        if (status < 0 || (events & UV_READABLE))
                receive(udp);
        if (!udp->released && (events & UV_WRITABLE)) {
                udp->want_writable = false;
                poll_start(udp);
                udp->link.handler->writable(udp->link.handler_ctx);
        }
}

/* ---- opening */

static int socket_connect(struct udp_link *udp) {
        socklen_t size = udp->peer.ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
        int receive_buffer = (int) MIN(udp->receive_buffer, (size_t) INT32_MAX);
        int r;

        udp->fd = socket(udp->peer.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (udp->fd < 0)
                return -errno;
        if (receive_buffer > 0 && setsockopt(udp->fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer) < 0)
                return -errno;
        if (connect(udp->fd, (struct sockaddr *) &udp->peer, size) < 0)
                return -errno;
        r = uv_poll_init(&udp->loop->uv, &udp->poll, udp->fd);
        if (r < 0)
                return r;
        udp->poll.data = udp;
        udp->polling = true;
        return 0;
}

static bool is_route_error(int r) {
        return r == -ENETUNREACH || r == -EHOSTUNREACH || r == -EADDRNOTAVAIL || r == -ENETDOWN;
}

static void udp_link_open_socket(struct udp_link *udp) {
        int r = socket_connect(udp);

        if (r < 0)
                udp_link_fail(udp, is_route_error(r) ? "peer-unreachable" : "link-open-failed", r);
        else
                loop_deferral_schedule(&udp->next);
}

/* Comes once after the socket was made, or cannot be made. */
static void on_outcome(void *ctx) {
        struct udp_link *udp = ctx;
        struct gw_error error = { 0 };

        if (udp->error_name) {
                gw_error_set(&error, udp->error_name, "%s: %s", udp->resolve ? udp->resolve->host : "UDP socket",
                             uv_strerror(udp->error_code));
                udp->state = UDP_STATE_CLOSED;
                udp->link.handler->closed(udp->link.handler_ctx, &error);
                return;
        }
        udp->state = UDP_STATE_OPEN;
        poll_start(udp);
        udp->link.handler->opened(udp->link.handler_ctx);
}

static void set_port(struct sockaddr_storage *address, uint16_t port) {
        if (address->ss_family == AF_INET6)
                ((struct sockaddr_in6 *) address)->sin6_port = htons(port);
        else
                ((struct sockaddr_in *) address)->sin_port = htons(port);
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *result) {
        struct udp_link *udp = request->data;

        udp->resolving = false;
        udp->loop->n_works--;
        if (status == 0) {
                memcpy(&udp->peer, result->ai_addr, MIN((size_t) result->ai_addrlen, sizeof udp->peer));
                set_port(&udp->peer, udp->resolve->port);
        }
        uv_freeaddrinfo(result);
        if (udp->released) {
                udp_link_free_when_idle(udp);
                return;
        }
        if (status < 0) {
                udp_link_fail(udp, "address-unresolvable", status);
                return;
        }
        free(TAKE_PTR(udp->resolve));
        udp_link_open_socket(udp);
}

static int resolve_start(struct udp_link *udp, const char *host, uint16_t port) {
        struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM, .ai_flags = AI_ADDRCONFIG };
        int r;

        udp->resolve = calloc(1, sizeof *udp->resolve);
        if (!udp->resolve)
                return -ENOMEM;
        str_copy(udp->resolve->host, sizeof udp->resolve->host, host);
        udp->resolve->port = port;
        udp->resolve->request.data = udp;
        r = uv_getaddrinfo(&udp->loop->uv, &udp->resolve->request, on_resolved, udp->resolve->host, NULL, &hints);
        if (r < 0)
                return r;
        udp->resolving = true;
        udp->loop->n_works++;
        return 0;
}

/* "host:port" or "[v6]:port". */
static int address_split(const char *address, char *host, size_t host_size, uint16_t *ret_port) {
        const char *start = address, *end, *colon = address ? strrchr(address, ':') : NULL;
        uint64_t port;

        if (!colon || str_parse_uint64(colon + 1, 1, UINT16_MAX, &port) < 0)
                return -EINVAL;
        end = colon;
        if (*start == '[') {
                start++;
                end--;
                if (end <= start || *end != ']')
                        return -EINVAL;
        } else if (memchr(start, ':', (size_t) (end - start))) {
                return -EINVAL;
        }
        if (end == start || str_copy_n(host, host_size, start, (size_t) (end - start)) < 0)
                return -EINVAL;
        *ret_port = (uint16_t) port;
        return 0;
}

static bool is_numeric(const char *host, uint16_t port, struct sockaddr_storage *ret_address) {
        if (uv_ip4_addr(host, port, (struct sockaddr_in *) ret_address) == 0)
                return true;
        return uv_ip6_addr(host, port, (struct sockaddr_in6 *) ret_address) == 0;
}

/* ---- the operations of the link */

/* Errors that say nothing about this datagram's sender or size: it is lost as it could have been anywhere else on its way. */
static bool is_loss(int error) {
        return is_route_error(-error) || error == ENOBUFS || error == ENOMEM || error == EPERM || error == ECONNREFUSED;
}

static int udp_link_send(struct gw_link *link, const void *data, size_t size) {
        struct udp_link *udp = udp_link_of(link);
        ssize_t n_sent;

        if (udp->state != UDP_STATE_OPEN)
                return -ENOTCONN;
        if (size > udp->max_datagram)
                return -EMSGSIZE;
        n_sent = send(udp->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n_sent < 0 && errno == ECONNREFUSED) {
                /* The answer to an earlier datagram; this one has not been tried yet. */
                udp->statistics.n_refused++;
                n_sent = send(udp->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        }
        if (n_sent >= 0) {
                udp->statistics.n_sent++;
                return 0;
        }
        if (errno == EAGAIN) {
                udp->want_writable = true;
                poll_start(udp);
                return -EAGAIN;
        }
        if (!is_loss(errno))
                return -errno;
        udp->statistics.n_unsent++;
        return 0;
}

static size_t udp_link_max_datagram(struct gw_link *link) {
        return udp_link_of(link)->max_datagram;
}

static size_t udp_link_queued_bytes(struct gw_link *link) {
        struct udp_link *udp = udp_link_of(link);
        int n_bytes = 0;

        if (udp->state != UDP_STATE_OPEN)
                return 0;
        return ioctl(udp->fd, SIOCOUTQ, &n_bytes) < 0 || n_bytes < 0 ? 0 : (size_t) n_bytes;
}

static const struct gw_link_ops udp_link_ops = {
        .send = udp_link_send,
        .max_datagram = udp_link_max_datagram,
        .queued_bytes = udp_link_queued_bytes,
        .close = udp_link_close,
};

void udp_link_get_statistics(const struct gw_link *link, struct udp_link_statistics *ret_statistics) {
        *ret_statistics = container_of(link, const struct udp_link, link)->statistics;
}

static int udp_link_new(struct loop *loop, const struct gw_udp_options *options, struct udp_link **ret_udp) {
        struct udp_link *udp = calloc(1, sizeof *udp);

        if (!udp)
                return -ENOMEM;
        if (loop_scratch_acquire(loop) < 0) {
                free(udp);
                return -ENOMEM;
        }
        udp->link.ops = &udp_link_ops;
        udp->loop = loop;
        udp->fd = -1;
        udp->max_datagram = options->max_datagram ? options->max_datagram : UDP_DATAGRAM_DEFAULT;
        udp->slot_size = udp->max_datagram <= UDP_RECEIVE_MAX ? UDP_RECEIVE_MAX : LOOP_SCRATCH_SIZE;
        udp->receive_buffer = options->receive_buffer;
        loop_deferral_init(&udp->next, loop, on_outcome, udp);
        *ret_udp = udp;
        return 0;
}

int udp_link_open(struct loop *loop, const struct gw_udp_options *options, const struct gw_link_handler *handler, void *ctx,
                  struct gw_link **ret_link) {
        char host[UDP_HOST_SIZE];
        struct udp_link *udp;
        uint16_t port;
        int r;

        if (options->max_datagram > UDP_DATAGRAM_MAX || address_split(options->address, host, sizeof host, &port) < 0)
                return -EINVAL;
        r = udp_link_new(loop, options, &udp);
        if (r < 0)
                return r;
        udp->link.handler = handler;
        udp->link.handler_ctx = ctx;
        if (is_numeric(host, port, &udp->peer)) {
                udp_link_open_socket(udp);
        } else {
                r = resolve_start(udp, host, port);
                if (r < 0) {
                        udp_link_close(&udp->link);
                        return r;
                }
        }
        *ret_link = &udp->link;
        return 0;
}
