/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Keys for the tests of this folder: two that load, and one of each kind that must not. Nobody signs anything else with them. */

static const char test_ed25519_private[] = "-----BEGIN PRIVATE KEY-----\n"
                                           "MC4CAQAwBQYDK2VwBCIEICfNyUr5s3FMx/uMgJlH+1ysMIloLNFeRYR61RaNUOBI\n"
                                           "-----END PRIVATE KEY-----\n";
static const char test_ed25519_public[] = "-----BEGIN PUBLIC KEY-----\n"
                                          "MCowBQYDK2VwAyEArK+VFCiy0Kr36xOSFzysjimAmrQz3olrvm3UWhmtPoU=\n"
                                          "-----END PUBLIC KEY-----\n";
static const char test_p256_private[] = "-----BEGIN PRIVATE KEY-----\n"
                                        "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg/vPXmwFRiM1rqUBo\n"
                                        "Px7fDbba3AyDcT6ay2wY7UkseUyhRANCAASisDJB0apRbouJiYMK4lNmK8BdIjSD\n"
                                        "yhSsj/jd6vJRW/eeW6x9b6Ddgm6tJ/J1raBE91lV3352Se0SLMId48rP\n"
                                        "-----END PRIVATE KEY-----\n";
static const char test_p256_public[] = "-----BEGIN PUBLIC KEY-----\n"
                                       "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEorAyQdGqUW6LiYmDCuJTZivAXSI0\n"
                                       "g8oUrI/43eryUVv3nlusfW+g3YJurSfyda2gRPdZVd9+dkntEizCHePKzw==\n"
                                       "-----END PUBLIC KEY-----\n";
