//! The device's certificate renewal over a hub session.
