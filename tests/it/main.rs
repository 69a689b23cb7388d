//! End to end: the real programs, real processes, real sockets. Every wait has a limit, and no test
//! sleeps to let something happen.

mod account;
mod address;
mod agree;
mod apps;
mod attached;
mod cli;
mod command;
mod config;
mod crash;
mod edge;
mod faults;
mod h2c;
mod halt;
mod health;
mod history;
mod hostile;
mod http2;
mod install;
mod legacy;
mod load;
mod logs;
mod observe;
mod reload;
mod restart;
mod rows;
mod sockets;
mod steer;
mod stop;
mod storm;
mod tidy;
mod tls;
mod watch;
