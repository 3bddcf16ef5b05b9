/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The one table of commands: their words, options, arguments and help. Parsing, help and completion read it; nothing else knows what
 * commands there are.
 */

#include "commands.h"

#include "document/limits.h"

#define END                                                                                                                                \
        { .name = NULL }
#define FLAG(name_, text_)                                                                                                                 \
        { .name = name_, .kind = VALUE_NONE, .text = text_ }
#define TEXT(name_, value_, text_)                                                                                                         \
        { .name = name_, .kind = VALUE_TEXT, .value = value_, .text = text_ }
#define TEXTS(name_, value_, text_)                                                                                                        \
        { .name = name_, .kind = VALUE_TEXT, .value = value_, .text = text_, .repeated = true }
#define NUMBER(name_, value_, min_, max_, text_)                                                                                           \
        { .name = name_, .kind = VALUE_NUMBER, .value = value_, .min = min_, .max = max_, .text = text_ }
#define DURATION(name_, min_, max_, text_)                                                                                                 \
        { .name = name_, .kind = VALUE_DURATION, .value = "TIME", .min = min_, .max = max_, .text = text_ }
#define CHOICE(name_, value_, choices_, text_)                                                                                             \
        { .name = name_, .kind = VALUE_CHOICE, .value = value_, .choices = choices_, .text = text_ }

#define MODE                                                                                                                               \
        CHOICE("mode", "MODE", "test-and-confirm|confirm-only|test-only|upload-only",                                                      \
               "How the new image is made to run (default: the gateway's, test-and-confirm).")
#define TRIAL                                                                                                                              \
        DURATION("trial", 0, CAMPAIGN_TRIAL_MAX_S * 1000ll,                                                                                \
                 "How long the new image runs on trial before it is confirmed (default: the gateway's, 60 s).")
#define YES                                                                                                                                \
        { .name = "yes", .letter = 'y', .kind = VALUE_NONE, .text = "Start without asking." }
#define DRY_RUN FLAG("dry-run", "Only show the plan.")
#define NO_WAIT FLAG("no-wait", "Start, and do not wait for the end.")
/* Who signs what is not believed from far without a signature. */
#define SIGNING                                                                                                                            \
        { .name = "key",                                                                                                                   \
          .kind = VALUE_FILE,                                                                                                              \
          .value = "FILE",                                                                                                                 \
          .text = "Signs what from far has to be signed: a private key, or pkcs11:..." },                                                  \
                TEXT("external", "CMD", "Signs, in place of --key: a command, as for `gatewayctl sign`."),                                 \
                { .name = "pub", .kind = VALUE_FILE, .value = "FILE", .text = "The public key to it." },                                   \
                TEXT("kid", "ID", "The id of the key (default: the name of the --pub or --key file).")

static const struct option_info update_options[] = {
        TEXT("match", "GLOB", "Every adopted device whose id, key or name matches, in place of one device."),
        MODE,
        TEXTS("compatible", "MODEL", "The hardware that the file is for, where it does not say so itself."),
        FLAG("allow-downgrade", "Also to an older version than the device runs."),
        TRIAL,
        NUMBER("concurrency", "N", 1, CAMPAIGN_CONCURRENCY_MAX, "So many devices at once (default: the gateway's, 3)."),
        YES,
        DRY_RUN,
        NO_WAIT,
        END,
};
static const struct option_info rollback_options[] = { MODE, TRIAL, YES, DRY_RUN, NO_WAIT, END };
static const struct option_info list_options[] = {
        CHOICE("state", "STATE", "discovered|adopted|configured", "Only devices in this state."),
        TEXT("driver", "DRIVER", "Only devices of this driver."),
        TEXTS("label", "LABEL", "Only devices with this label."),
        TEXT("match", "GLOB", "Only devices whose id, key or name matches."),
        END,
};
static const struct option_info scan_options[] = {
        TEXT("driver", "DRIVER", "Only this driver listens (default: all that can)."),
        DURATION("duration", 100, 60000, "How long (default 5 s)."),
        FLAG("inspect", "Then connect to each device that was heard, and read versions, slots, bootloader and battery."),
        SIGNING,
        END,
};
static const struct option_info adopt_options[] = {
        TEXT("match", "GLOB", "Every discovered device whose id, key or name matches."),
        TEXT("model", "MODEL", "Its hardware, such as acme,sensor-r2, where the device does not state it."),
        TEXTS("label", "LABEL", "A label by which campaigns select it."),
        TEXT("name", "NAME", "What you call it."),
        TEXT("address", "ADDRESS", "Where it is, for drivers that cannot find it themselves."),
        SIGNING,
        END,
};
static const struct option_info set_options[] = {
        TEXT("name", "NAME", "What you call it; '' takes the name away."),
        TEXT("model", "MODEL", "Its hardware; '' takes the statement away."),
        TEXT("address", "ADDRESS", "Where it is; '' takes the statement away."),
        TEXT("labels", "LABELS", "All its labels, separated by commas; '' takes all away."),
        TEXTS("add-label", "LABEL", "One more label."),
        TEXTS("remove-label", "LABEL", "A label less."),
        SIGNING,
        END,
};
static const struct option_info import_options[] = { FLAG("dry-run", "Only check the list, and say what would be done."), END };
static const struct option_info jobs_options[] = {
        { .name = "campaign", .kind = VALUE_CAMPAIGN, .value = "ID", .text = "All jobs of this campaign." },
        { .name = "device", .kind = VALUE_DEVICE, .value = "DEVICE", .text = "Only jobs of this device." },
        FLAG("finished", "Also finished ones."),
        END,
};
static const struct option_info plan_options[] = { FLAG("unselected", "Also the devices that are not selected, and why."), SIGNING, END };
static const struct option_info campaign_list_options[] = { FLAG("unfinished", "Only those with work left."), END };
static const struct option_info campaign_get_options[] = {
        NUMBER("revision", "N", 1, CAMPAIGN_REVISION_MAX, "This revision (default: the highest)."),
        FLAG("steps", "Also every step of every job, with its time."),
        END,
};
static const struct option_info report_options[] = {
        NUMBER("revision", "N", 1, CAMPAIGN_REVISION_MAX, "This revision (default: the highest)."),
        CHOICE("format", "FORMAT", "table|markdown|csv|json", "How it is written (default table); csv has a line for each device."),
        END,
};
#define KEYS_OPTION                                                                                                                        \
        { .name = "keys", .kind = VALUE_FILE, .value = "DIR", .text = "Folder with public keys (NAME.pub): signatures are verified." }
static const struct option_info new_options[] = {
        TEXT("id", "ID", "Its name (default: the file's, with its version)."),
        NUMBER("revision", "N", 1, CAMPAIGN_REVISION_MAX, "A higher revision takes the place of a lower one (default 1)."),
        TEXT("comment", "TEXT", "For people."),
        TEXT("issuer", "NAME", "Who orders it."),
        TEXTS("audience", "GATEWAY", "A gateway id, a glob on ids, or group:NAME: the document is to be signed, and gets iat and exp."),
        DURATION("valid", 1000, CAMPAIGN_EXP_MAX_S * 1000ll, "How long gateways accept it (default 14 d)."),
        TEXTS("url", "URL", "Where gateways fetch the file; with / at the end the folder of all files."),
        TEXTS("compatible", "MODEL", "The hardware that the file is for, where it does not say so itself."),
        TEXT("format", "FORMAT", "Its format, where only a plugin on the gateway knows it."),
        NUMBER("image", "N", 0, CAMPAIGN_IMAGE_MAX, "The image number on the device, where the file does not say so."),
        TEXT("rollback-of", "CAMPAIGN", "Take this campaign back; files are needed only where old images are gone."),
        FLAG("all-devices", "Every adopted device."),
        TEXTS("device", "ID", "This device (DRIVER:KEY)."),
        TEXTS("label", "LABEL", "Devices with this label (and those of the others)."),
        TEXT("match", "GLOB", "Devices whose id, key or name matches."),
        TEXTS("driver", "DRIVER", "Devices of this driver."),
        TEXT("running", "VERSIONS", "Devices that run such a version: \">=1.2 <1.4.0\"."),
        NUMBER("rssi-min", "DBM", CAMPAIGN_RSSI_MIN_DBM, CAMPAIGN_RSSI_MAX_DBM, "Devices that are heard at least so well."),
        TEXT("updated-by", "CAMPAIGN", "Devices that this campaign updated."),
        MODE,
        TRIAL,
        NUMBER("trial-checks", "N", 1, CAMPAIGN_TRIAL_CHECKS_MAX, "How often it is looked at during the trial (default 2)."),
        TEXT("waves", "WAVES", "How many devices, or percents of them, by when: \"2,25%,100%\"."),
        DURATION("soak", 0, CAMPAIGN_SOAK_MAX_S * 1000ll, "Pause between two waves."),
        CHOICE("gate", "GATE", "none|first-wave|each-wave", "Where it waits for `gatewayctl continue`."),
        NUMBER("abort-failed", "N", 1, CAMPAIGN_COUNT_MAX, "So many failures stop it (default 3)."),
        NUMBER("abort-percent", "N", 1, 100, "Such a share of failures stops it (default 20)."),
        NUMBER("abort-min-finished", "N", 1, CAMPAIGN_COUNT_MAX, "From so many finished devices on the share counts (default 5)."),
        CHOICE("abort-action", "ACTION", "pause|cancel", "What stopping means (default pause)."),
        TEXTS("window", "WINDOW", "When it may work: \"mon-fri 22:00 7h Europe/Oslo\"."),
        CHOICE("at-window-end", "WHAT", "suspend|finish", "What becomes of running work (default suspend)."),
        DURATION("start-jitter", 0, CAMPAIGN_START_JITTER_MAX_S * 1000ll, "Gateways start within this time (default 5 min when signed)."),
        TEXT("deadline", "TIME", "When it ends: a time such as 2026-12-05T00:00:00Z, or \"7 d\" from now (default: the gateway's, 14 d)."),
        NUMBER("concurrency", "N", 1, CAMPAIGN_CONCURRENCY_MAX, "So many devices at once on a gateway (default: the gateway's, 3)."),
        NUMBER("attempts", "N", 1, CAMPAIGN_ATTEMPTS_MAX, "Attempts for a device (default: the gateway's, 5)."),
        FLAG("allow-downgrade", "Also to an older version than the device runs."),
        NUMBER("battery-min", "PERCENT", 1, 100, "Devices with less wait."),
        { .name = "output", .letter = 'o', .kind = VALUE_FILE, .value = "FILE", .text = "Write it there (default: standard output)." },
        END,
};
static const struct option_info check_options[] = {
        FLAG("signed", "A document that is not signed yet has to be complete for that."),
        { .name = "artifact",
          .kind = VALUE_FILE,
          .value = "FILE",
          .text = "A firmware file: size, digest, format and version have to be those of the document.",
          .repeated = true },
        KEYS_OPTION,
        END,
};
static const struct option_info show_options[] = { KEYS_OPTION, END };
static const struct option_info wait_options[] = {
        FLAG("through-pauses", "A pause does not end it: somebody will let the campaign go on."),
        DURATION("appear", 0, 24 * 3600 * 1000ll, "How long a gateway may need to hear of the campaign (default: it has it already)."),
        END,
};
static const struct option_info start_options[] = { YES, DRY_RUN, NO_WAIT, SIGNING, END };
static const struct option_info take_back_options[] = {
        YES,
        DRY_RUN,
        NO_WAIT,
        { .name = "output",
          .kind = VALUE_FILE,
          .value = "FILE",
          .text = "Write the campaign to this file (- is standard output), and start nothing." },
        SIGNING,
        END,
};
static const struct option_info signing_options[] = { SIGNING, END };
static const struct option_info watch_options[] = {
        { .name = "campaign", .kind = VALUE_CAMPAIGN, .value = "ID", .text = "Only events of this campaign, as a stream." },
        { .name = "device", .kind = VALUE_DEVICE, .value = "DEVICE", .text = "Only events of this device." },
        NUMBER("from", "SEQ", 1, JSON_INTEGER_MAX, "From this event on (default: only new ones; 1: the oldest that is kept)."),
        FLAG("progress", "With --json: also the progress of uploads, which is not numbered."),
        END,
};
static const struct option_info pause_options[] = { TEXT("reason", "TEXT", "What others are told."), SIGNING, END };
static const struct option_info retry_options[] = {
        { .name = "device", .kind = VALUE_DEVICE, .value = "DEVICE", .text = "Only this device.", .repeated = true },
        { .name = "error",
          .kind = VALUE_ERROR_NAME,
          .value = "NAME",
          .text = "Only devices that failed with this error.",
          .repeated = true },
        SIGNING,
        END,
};
static const struct option_info inspect_options[] = {
        { .name = "key",
          .kind = VALUE_FILE,
          .value = "PEM",
          .text = "A public key: the file must be signed by it (or one of them).",
          .repeated = true },
        END,
};
static const struct option_info doctor_options[] = {
        { .name = "config",
          .kind = VALUE_FILE,
          .value = "FILE",
          .text = "The configuration of a daemon that does not run (default: its own)." },
        SIGNING,
        END,
};
static const struct option_info audit_options[] = {
        FLAG("verify", "Also check the chain of digests."),
        NUMBER("from", "SEQ", 1, JSON_INTEGER_MAX, "From this row on."),
        NUMBER("last", "N", 1, 1000000, "Only the newest rows."),
        END,
};

static const struct option_info keygen_options[] = { CHOICE("type", "TYPE", "ed25519|p256", "What kind of key (default ed25519)."), END };
static const struct option_info sign_options[] = {
        { .name = "key", .kind = VALUE_FILE, .value = "FILE", .text = "Who signs: a private key file, or a key in a token (pkcs11:...)." },
        TEXT("external", "CMD",
             "Who signs: a command that gets what is to be signed on standard input and writes the raw or DER signature."),
        { .name = "pub",
          .kind = VALUE_FILE,
          .value = "FILE",
          .text = "The public key as the gateway has it; the signature is checked with it." },
        TEXT("kid", "ID", "The id of the key (default: the name of the --pub or --key file)."),
        TEXTS("audience", "GATEWAY", "For whom, in place of what the document says: a gateway id, a glob on ids, or group:NAME."),
        DURATION("valid", 1000, CAMPAIGN_EXP_MAX_S * 1000ll,
                 "exp, where the document has none: so long after iat (14 d; a command 300 s)."),
        END,
};
static const struct option_info keys_options[] = {
        { .name = "dir", .kind = VALUE_FILE, .value = "DIR", .text = "The directory (default /etc/gatewayd/keys)." }, END
};

#define DEVICE                                                                                                                             \
        { "DEVICE", VALUE_DEVICE, NULL }
#define CAMPAIGN                                                                                                                           \
        { "CAMPAIGN", VALUE_CAMPAIGN, NULL }
#define FILE_ARGUMENT                                                                                                                      \
        { "FILE", VALUE_FILE, NULL }

static const char update_details[] =
        "DEVICE is an id (smp-serial:000683-if02), or a name or key that only one device has. FILE is what the build makes for updates:\n"
        "zephyr.signed.bin, app_update.bin, or dfu_application.zip. Nothing is written to the device before you said yes to the plan.\n"
        "\n"
        "  gatewayctl update kitchen app_update.bin\n"
        "  gatewayctl update kitchen app_update.bin --compatible acme,sensor-r2 --yes\n"
        "  gatewayctl update --match 'sensor-*' app_update.bin --concurrency 5\n"
        "  gatewayctl update kitchen app_update.bin --dry-run --json\n"
        "\n"
        "A file that names no hardware (an MCUboot image does not): naming one device and saying yes is your word that it fits; with "
        "--yes\n"
        "or --match that word is --compatible. It is compared with the model of each device.\n"
        "Ctrl-C leaves the work running; `gatewayctl watch` comes back to it, `gatewayctl cancel` ends it.";
static const char rollback_details[] =
        "The device goes back to the image in its other slot; nothing is uploaded. The plan says whether that is possible.\n"
        "\n"
        "  gatewayctl rollback kitchen";
static const char adopt_details[] =
        "A device that was only heard is never written to; adopting it says that it is yours.\n"
        "\n"
        "  gatewayctl device adopt smp-serial:000683-if02 --name kitchen --model acme,sensor-r2 --label sensor\n"
        "  gatewayctl device adopt --match 'smp-serial:*'";
static const char import_details[] =
        "A list of devices to adopt or change: with a header that names the columns (id, name, model, labels, address; labels separated "
        "by\n"
        "blanks), or just one id a line. Every mistake is told with line and column, and then nothing is done. FILE may be - .\n"
        "\n"
        "  id,name,model,labels,address\n"
        "  smp-udp:kitchen,\"Kitchen, left\",\"acme,sensor-r2\",sensor kitchen,192.0.2.7:1337";
static const char pair_details[] =
        "What is possible says `pairing` in [ble] of the gateway: never (the default), just-works, or passkey. Passkeys stand in the file\n"
        "`passkey_file` on the gateway and nowhere else: they are never sent.\n"
        "\n"
        "  gatewayctl device pair smp-ble:DE063B974CD8";
static const char wait_details[] =
        "The exit code says how it ended: 0 every device succeeded, 1 not every one, 10 it is paused, 11 canceled, 12 expired, 13 superseded\n"
        "by a higher revision, 6 it is not over within --timeout. Of several gateways it is the worst one's, after all of them came to an end.\n"
        "\n"
        "  gatewayctl campaign wait sensors-1.4.0 --profile oslo --group oslo --appear '2 min' --timeout 4h";
static const char new_details[] =
        "Size, digest, format, version and hardware are read from the files. What is made passes `campaign check`; needs no daemon.\n"
        "\n"
        "  gatewayctl campaign new sensor-1.4.0.bin --url https://fw.acme.example/ --compatible acme,sensor-r2 --label sensor \\\n"
        "          --audience group:oslo --waves 2,25%,100% --window 'mon-fri 22:00 7h Europe/Oslo' -o sensors.json\n"
        "  gatewayctl campaign new app.bin --compatible acme,sensor-r2 --device smp-udp:kitchen | gatewayctl campaign start -";
static const char check_details[] =
        "FILE is a campaign document in JSON, or a signed one (JWS). Every mistake is told with its place. Needs no daemon.\n"
        "\n"
        "  gatewayctl campaign check sensors.json --artifact sensor-1.4.0.bin\n"
        "  gatewayctl campaign check sensors.jws --keys /etc/gatewayd/keys";
static const char show_details[] = "FILE is a campaign document in JSON, or a signed one (JWS); - is standard input. Needs no daemon.";
static const char start_details[] =
        "FILE is a campaign document in JSON (schemas/campaign.schema.json) or a signed one (JWS), - is standard input. On the gateway "
        "itself\n"
        "files that it names without a URL have to be imported before (gatewayctl artifact import).\n"
        "\n"
        "Through a broker it has to be signed; a document that is not is signed with --key, and gets iat, exp (14 days) and aud where it "
        "does\n"
        "not say them. It goes to the gateways that its aud names, or those of --gateway, --group, --all among them.\n"
        "\n"
        "  gatewayctl campaign start sensors.json --broker mqtts://broker.acme.example --group oslo --key ci.key";
static const char take_back_details[] =
        "Each device that CAMPAIGN updated goes back to the image that it ran before; where that still lies in its other slot, nothing is\n"
        "uploaded. It is a campaign of its own, with an id of its own.\n"
        "\n"
        "  gatewayctl campaign rollback sensors-1.4.0 --profile oslo --all";
static const char publish_details[] = "The broker keeps the signed campaign, and each gateway of the audience reads it whenever it "
                                      "connects: so it reaches those that are\n"
                                      "away now, and one whose disk was replaced. FILE is as for `campaign start`. A higher revision of "
                                      "the same campaign takes its place.\n"
                                      "\n"
                                      "  gatewayctl publish sensors.jws --profile oslo --group oslo";
static const char unpublish_details[] = "Gateways that have the campaign already go on with it.";
static const char gateways_details[] =
        "What they left at the broker: who is there, in which version, with how many devices, and what it is doing.";
static const char continue_details[] =
        "Past a gate between waves, and where a gateway held a campaign because it is older than what it knows (needs-approval).";
static const char profile_details[] =
        "Profiles stand in ~/.config/gatewayctl/profiles.conf. A key is an option with _ for -; files are looked for beside it.\n"
        "\n"
        "  [profile oslo]\n"
        "  broker = mqtts://broker.acme.example\n"
        "  ca_file = acme-ca.pem\n"
        "  cert = desk.pem\n"
        "  group = oslo\n"
        "  key = ci.key\n"
        "\n"
        "--profile NAME chooses one, else $GATEWAYCTL_PROFILE. What stands on the command line goes before.";
static const char watch_details[] = "With a campaign: its progress until it is over; the exit code says how it ended. Without: every event "
                                    "of the gateway as it happens,\n"
                                    "until Ctrl-C; with --json a line each.\n"
                                    "\n"
                                    "  gatewayctl watch\n"
                                    "  gatewayctl watch local-20261205T140307-3f9a1c2e\n"
                                    "  gatewayctl watch --from 1 --json";
static const char inspect_details[] =
        "Needs no daemon. Says what the file is, which images in which version it holds, how it is signed, and what is wrong with it.\n"
        "\n"
        "  gatewayctl package inspect app_update.bin\n"
        "  gatewayctl package inspect dfu_application.zip --key acme.pem";
static const char doctor_details[] = "The running daemon makes the checks itself. Without one its program is run with --diagnose, as the "
                                     "daemon's user where this is root.\n"
                                     "The exit code is 1 where there is an error; warnings alone give 0.";
static const char keygen_details[] = "Writes NAME.key (the private key, for you alone) and NAME.pub (for the gateways), and says what to "
                                     "do with them. The last part of\n"
                                     "NAME is the id of the key.\n"
                                     "\n"
                                     "  gatewayctl keygen ci\n"
                                     "  gatewayctl keygen --type p256 keys/ci-2027";
static const char sign_details[] =
        "FILE is a campaign or a signed command in JSON (schemas/campaign-signed.schema.json, command-signed.schema.json), - is standard\n"
        "input. What it lacks of iat, exp and jti is filled in. It is checked before it is signed, and the signature before it is "
        "printed.\n"
        "\n"
        "  gatewayctl sign campaign.json --key ci.key > campaign.jws\n"
        "  PKCS11_MODULE_PATH=/usr/lib/softhsm/libsofthsm2.so gatewayctl sign campaign.json --key 'pkcs11:token=acme;object=ci' --kid ci\n"
        "  gatewayctl sign campaign.json --pub ci.pub --external 'openssl dgst -sha256 -sign ci.key'";
static const char keys_details[] = "Needs no daemon. Reads the directory as the daemon does; the exit code is 1 where a file was left out.";
static const char retry_details[] =
        "Queues the jobs again that ended without success, with fresh attempts: all of them, or those of --device and --error.";

#define VERB(words_, synopsis_, summary_, run_, ...)                                                                                       \
        { .words = words_, .synopsis = synopsis_, .summary = summary_, .run = run_, __VA_ARGS__ }

const struct verb verbs[] = {
        VERB("update", "(DEVICE | --match GLOB) FILE", "Bring a firmware file to a device, or to several.", run_update,
             .details = update_details, .options = update_options, .arguments = { DEVICE, FILE_ARGUMENT }, .min_arguments = 1,
             .max_arguments = 2),
        VERB("rollback", "DEVICE", "Bring a device back to the image in its other slot.", run_rollback, .details = rollback_details,
             .options = rollback_options, .arguments = { DEVICE }, .min_arguments = 1, .max_arguments = 1),
        VERB("device list", "", "The devices that the gateway knows.", run_device_list, .options = list_options),
        VERB("device get", "DEVICE", "Everything that is known of a device: versions, slots, hashes, last result.", run_device_get,
             .arguments = { DEVICE }, .min_arguments = 1, .max_arguments = 1),
        VERB("device scan", "", "Listen for devices now.", run_device_scan, .options = scan_options),
        VERB("device adopt", "(DEVICE | --match GLOB)", "Allow that a discovered device is updated.", run_device_adopt,
             .details = adopt_details, .options = adopt_options, .arguments = { DEVICE }, .max_arguments = 1),
        VERB("device set", "DEVICE", "Change name, model, address or labels of a device.", run_device_set, .options = set_options,
             .arguments = { DEVICE }, .min_arguments = 1, .max_arguments = 1),
        VERB("device forget", "DEVICE", "Take an adoption back and forget what is known of the device.", run_device_forget,
             .options = signing_options, .arguments = { DEVICE }, .min_arguments = 1, .max_arguments = 1),
        VERB("device pair", "DEVICE", "Make a bond with a Bluetooth device, as far as `pairing` in [ble] allows.", run_device_pair, .details = pair_details,
             .options = signing_options, .arguments = { DEVICE }, .min_arguments = 1, .max_arguments = 1),
        VERB("device unpair", "DEVICE", "Remove the bond with a Bluetooth device on the gateway's side.", run_device_unpair,
             .options = signing_options, .arguments = { DEVICE }, .min_arguments = 1, .max_arguments = 1),
        VERB("device bonds", "", "The bonds that the gateway has with Bluetooth devices.", run_device_bonds),
        VERB("device import", "FILE", "Adopt or change many devices by a list (CSV).", run_device_import, .details = import_details,
             .options = import_options, .arguments = { FILE_ARGUMENT }, .min_arguments = 1, .max_arguments = 1),
        VERB("device diagnose", "DEVICE", "Ask the device itself, and say what is found; changes nothing.", run_device_diagnose,
             .options = signing_options, .arguments = { DEVICE }, .min_arguments = 1, .max_arguments = 1),
        VERB("jobs", "", "What is being done to which device.", run_jobs, .options = jobs_options),
        VERB("watch", "[CAMPAIGN]", "Watch a campaign to its end, or everything as it happens.", run_watch, .details = watch_details,
             .options = watch_options, .arguments = { CAMPAIGN }, .max_arguments = 1),
        VERB("pause", "CAMPAIGN", "Start nothing more of a campaign; what runs stops where it can go on later.", run_pause,
             .options = pause_options, .arguments = { CAMPAIGN }, .min_arguments = 1, .max_arguments = 1),
        VERB("resume", "CAMPAIGN", "Let a paused campaign go on.", run_resume, .options = signing_options, .arguments = { CAMPAIGN },
             .min_arguments = 1, .max_arguments = 1),
        VERB("continue", "CAMPAIGN", "Approve a campaign that stopped by itself: at a gate, or held.", run_continue,
             .details = continue_details, .options = signing_options, .arguments = { CAMPAIGN }, .min_arguments = 1, .max_arguments = 1),
        VERB("cancel", "CAMPAIGN", "End a campaign; a job behind its point of no return goes on, and is named.", run_cancel,
             .options = signing_options, .arguments = { CAMPAIGN }, .min_arguments = 1, .max_arguments = 1),
        VERB("retry", "CAMPAIGN", "Queue again what ended without success.", run_retry, .details = retry_details, .options = retry_options,
             .arguments = { CAMPAIGN }, .min_arguments = 1, .max_arguments = 1),
        VERB("campaign list", "", "All campaigns, newest first.", run_campaign_list, .options = campaign_list_options),
        VERB("campaign get", "CAMPAIGN", "One campaign with its jobs.", run_campaign_get, .options = campaign_get_options,
             .arguments = { CAMPAIGN }, .min_arguments = 1, .max_arguments = 1),
        VERB("campaign report", "CAMPAIGN", "Counts, failures grouped by error with advice, devices not seen.", run_campaign_report,
             .options = report_options, .arguments = { CAMPAIGN }, .min_arguments = 1, .max_arguments = 1),
        VERB("campaign wait", "CAMPAIGN", "Wait for the end of a campaign; the exit code says how it ended.", run_campaign_wait,
             .details = wait_details, .options = wait_options, .arguments = { CAMPAIGN }, .min_arguments = 1, .max_arguments = 1),
        VERB("campaign new", "[FILE...]", "Make a campaign document from firmware files.", run_campaign_new, .details = new_details,
             .options = new_options, .arguments = { FILE_ARGUMENT }, .max_arguments = CAMPAIGN_ARTIFACTS_MAX, .many = true),
        VERB("campaign check", "FILE...", "Find every mistake of a campaign document.", run_campaign_check, .details = check_details,
             .options = check_options, .arguments = { FILE_ARGUMENT }, .min_arguments = 1, .max_arguments = ARGUMENTS_MAX, .many = true),
        VERB("campaign show", "FILE", "Explain a campaign document in words.", run_campaign_show, .details = show_details,
             .options = show_options, .arguments = { FILE_ARGUMENT }, .min_arguments = 1, .max_arguments = 1),
        VERB("campaign plan", "FILE", "What a campaign document would do; touches nothing.", run_campaign_plan, .details = start_details,
             .options = plan_options, .arguments = { FILE_ARGUMENT }, .min_arguments = 1, .max_arguments = 1),
        VERB("campaign start", "FILE", "Start a campaign document: plan, question, progress, results.", run_campaign_start,
             .details = start_details, .options = start_options, .arguments = { FILE_ARGUMENT }, .min_arguments = 1, .max_arguments = 1),
        VERB("campaign rollback", "CAMPAIGN", "Take a campaign back: every device that it updated returns to what it ran before.",
             run_campaign_rollback, .details = take_back_details, .options = take_back_options, .arguments = { CAMPAIGN },
             .min_arguments = 1, .max_arguments = 1),
        VERB("publish", "FILE", "Have the broker keep a signed campaign for gateways, whenever they come.", run_publish,
             .details = publish_details, .options = signing_options, .arguments = { FILE_ARGUMENT }, .min_arguments = 1,
             .max_arguments = 1),
        VERB("unpublish", "CAMPAIGN", "Have the broker forget it again.", run_unpublish, .details = unpublish_details,
             .arguments = { CAMPAIGN }, .min_arguments = 1, .max_arguments = 1),
        VERB("gateways", "", "The gateways at a broker: who is there, and what it is doing.", run_gateways, .details = gateways_details),
        VERB("artifact list", "", "The firmware files on the gateway.", run_artifact_list),
        VERB("artifact import", "FILE", "Bring a firmware file to the gateway.", run_artifact_import, .arguments = { FILE_ARGUMENT },
             .min_arguments = 1, .max_arguments = 1),
        VERB("artifact remove", "SHA256", "Remove a firmware file that no live work needs.", run_artifact_remove,
             .arguments = { { "SHA256", VALUE_TEXT, NULL } }, .min_arguments = 1, .max_arguments = 1),
        VERB("package inspect", "FILE", "Explain a firmware file.", run_package_inspect, .details = inspect_details,
             .options = inspect_options, .arguments = { FILE_ARGUMENT }, .min_arguments = 1, .max_arguments = 1),
        VERB("doctor", "", "Check disk, clock, plugins, ports and permissions; each with cause and remedy.", run_doctor,
             .details = doctor_details, .options = doctor_options),
        VERB("audit", "", "Who ordered what, when, and what became of it.", run_audit, .options = audit_options),
        VERB("audit verify", "", "Check that no row of the audit log was changed or removed.", run_audit_verify),
        VERB("info", "", "The gateway: version, clock, plugins, drivers.", run_gateway_info),
        VERB("gateway info", "", "The same as `info`.", run_gateway_info, .hidden = true),
        VERB("gateway health", "", "Is it well? Devices, jobs, store, disk, and what is wrong.", run_gateway_health),
        VERB("gateway reload", "", "Have the daemon read its configuration and its adoption list again.", run_gateway_reload),
        VERB("keygen", "NAME", "Make a pair of keys for signing campaigns.", run_keygen, .details = keygen_details,
             .options = keygen_options, .arguments = { { "NAME", VALUE_TEXT, NULL } }, .min_arguments = 1, .max_arguments = 1),
        VERB("sign", "FILE", "Sign a campaign or a command, so that a gateway obeys it from far.", run_sign, .details = sign_details,
             .options = sign_options, .arguments = { FILE_ARGUMENT }, .min_arguments = 1, .max_arguments = 1),
        VERB("keys list", "", "The keys that a gateway obeys, with fingerprint, scope and expiry.", run_keys_list, .details = keys_details,
             .options = keys_options),
        VERB("profile list", "", "The profiles for --profile.", run_profile_list, .details = profile_details),
        VERB("profile show", "NAME", "One profile, with its paths in full.", run_profile_show, .details = profile_details,
             .arguments = { { "NAME", VALUE_TEXT, NULL } }, .min_arguments = 1, .max_arguments = 1),
        VERB("errors", "[NAME]", "What an error means and what to do; without a name all of them.", run_errors,
             .arguments = { { "NAME", VALUE_ERROR_NAME, NULL } }, .max_arguments = 1),
        VERB("help", "[COMMAND]", "Explain a command.", run_help,
             .arguments = { { "COMMAND", VALUE_VERB, NULL }, { "COMMAND", VALUE_VERB, NULL } }, .max_arguments = 2),
        VERB("complete", "[WORD...]", "For the completion of a shell: what the last word may become.", run_complete,
             .max_arguments = ARGUMENTS_MAX, .hidden = true),
        { .words = NULL },
};
