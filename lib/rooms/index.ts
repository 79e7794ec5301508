/// <reference types="node" preserve="true" />
/** Procedural RGB-D rooms with labels: a data set to try things on. */
export { type Room, type RoomOptions, renderRoom } from './render-room.js';
export { FURTHER_SENSORS, ROOM_SENSORS, type RoomSensor, roomSensors } from './sensors.js';
export { type RoomsFolder, type WriteRoomsOptions, writeRooms } from './write-rooms.js';
