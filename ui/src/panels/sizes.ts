/** The height of the time series chart, shared with its skeleton and its picture. */
export const PLOT_HEIGHT_CSS = 264;
