//! Topics of DPS, IoT Hub and certificate renewal: building and parsing, on both sides.
