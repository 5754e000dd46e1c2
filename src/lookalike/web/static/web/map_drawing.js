// @ts-check
// Draws up to 20,000 small pictures with WebGL2: one quad for each, out of a stack of textures.

const VERTEX = `#version 300 es
layout(location = 0) in vec2 corner;
layout(location = 1) in vec2 place;
layout(location = 2) in float marked;
uniform vec2 middle, scale, tile;
uniform int across;
out vec2 inside;
out vec3 texel;
out float mark;
void main() {
  int within = gl_InstanceID % (across * across);
  vec2 cell = vec2(within % across, within / across);
  inside = corner;
  texel = vec3((cell + corner * .98 + .01) / float(across), gl_InstanceID / (across * across));
  mark = marked;
  gl_Position = vec4((place - middle) * scale + (corner - .5) * tile * (1. + .08 * marked), 0, 1);
  gl_Position.y = -gl_Position.y;
}`;

const FRAGMENT = `#version 300 es
precision mediump float;
precision mediump sampler2DArray;
uniform sampler2DArray atlas;
uniform vec3 ink, warm;
uniform bool points;
uniform float border;
in vec2 inside;
in vec3 texel;
in float mark;
out vec4 color;
void main() {
  vec2 away = abs(inside - .5);
  vec4 seen = texture(atlas, texel);
  if (points) {
    if (length(away) > .5) discard;
    color = vec4(mark > .5 ? warm : ink, 1);
  } else if (mark > .5 && max(away.x, away.y) > .5 - border) color = vec4(warm, 1);
  else color = seen.a < .5 ? vec4(mix(ink, vec3(.5), .6), 1) : vec4(seen.rgb, 1);
}`;

/** Smaller tiles are drawn as points. */
const LEAST_TILE = 7;

export class Drawing {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {{x: number[], y: number[], edge: number, across: number, parts: string[]}} map
   */
  constructor(canvas, map) {
    const gl = canvas.getContext("webgl2", { alpha: true, antialias: true, premultipliedAlpha: true });
    if (!gl) throw new Error("no WebGL2");
    this.canvas = canvas; this.gl = gl; this.map = map;
    this.n = map.x.length;
    this.program = this.build();
    this.where = Object.fromEntries(["middle", "scale", "tile", "across", "ink", "warm", "points", "border"].map((name) => [name, gl.getUniformLocation(this.program, name)]));
    this.marks = new Float32Array(this.n);
    this.buffer([0, 0, 1, 0, 0, 1, 1, 1], 0, 2, 0);
    this.buffer(map.x.flatMap((x, at) => [x, map.y[at]]), 1, 2, 1);
    this.marked = this.buffer(this.marks, 2, 1, 1);
    this.prepareTexture();
  }

  build() {
    const gl = this.gl, program = gl.createProgram();
    for (const [kind, text] of /** @type {const} */ ([[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]])) {
      const shader = /** @type {WebGLShader} */ (gl.createShader(kind));
      gl.shaderSource(shader, text); gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program) || "no program");
    return program;
  }

  /** @param {ArrayLike<number>} values @param {number} place @param {number} size @param {number} every */
  buffer(values, place, size, every) {
    const gl = this.gl, made = gl.createBuffer();
    gl.bindBuffer(gl.ARRAY_BUFFER, made);
    gl.bufferData(gl.ARRAY_BUFFER, new Float32Array(values), gl.DYNAMIC_DRAW);
    gl.enableVertexAttribArray(place);
    gl.vertexAttribPointer(place, size, gl.FLOAT, false, 0, 0);
    gl.vertexAttribDivisor(place, every);
    return made;
  }

  prepareTexture() {
    const gl = this.gl, side = this.map.edge * this.map.across;
    gl.bindTexture(gl.TEXTURE_2D_ARRAY, gl.createTexture());
    gl.texStorage3D(gl.TEXTURE_2D_ARRAY, 4, gl.RGBA8, side, side, Math.max(1, this.map.parts.length));
    gl.texParameteri(gl.TEXTURE_2D_ARRAY, gl.TEXTURE_MIN_FILTER, gl.LINEAR_MIPMAP_LINEAR);
    gl.texParameteri(gl.TEXTURE_2D_ARRAY, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
    gl.texParameteri(gl.TEXTURE_2D_ARRAY, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
  }

  /** Fetch the small pictures, two files at a time. @param {() => void} arrived after each */
  async load(arrived) {
    const waiting = this.map.parts.map((address, layer) => ({ address, layer }));
    const work = async () => {
      for (let next = waiting.shift(); next; next = waiting.shift()) {
        const answer = await fetch(next.address);
        if (!answer.ok) continue;
        const image = await createImageBitmap(await answer.blob());
        const gl = this.gl;
        gl.texSubImage3D(gl.TEXTURE_2D_ARRAY, 0, 0, 0, next.layer, image.width, image.height, 1, gl.RGBA, gl.UNSIGNED_BYTE, image);
        image.close();
        arrived();
      }
    };
    await Promise.all([work(), work()]);
    this.gl.generateMipmap(this.gl.TEXTURE_2D_ARRAY);
    arrived();
  }

  /** @param {(at: number) => boolean} isMarked */
  mark(isMarked) {
    for (let at = 0; at < this.n; at += 1) this.marks[at] = isMarked(at) ? 1 : 0;
    this.gl.bindBuffer(this.gl.ARRAY_BUFFER, this.marked);
    this.gl.bufferSubData(this.gl.ARRAY_BUFFER, 0, this.marks);
  }

  /** Pixels of a tile when the map is `size` pixels wide. @param {number} size */
  tileAt(size) { return Math.min(1.5 * this.map.edge, Math.max(4, (.92 * size) / Math.sqrt(this.n))); }

  /** @param {{x: number, y: number}} middle @param {number} size pixels from 0 to 1 of the map */
  draw(middle, size) {
    const gl = this.gl, box = this.canvas.getBoundingClientRect(), dense = Math.min(2, devicePixelRatio || 1);
    const width = Math.round(box.width * dense), height = Math.round(box.height * dense);
    if (this.canvas.width !== width || this.canvas.height !== height) { this.canvas.width = width; this.canvas.height = height; }
    gl.viewport(0, 0, width, height);
    gl.clearColor(0, 0, 0, 0); gl.clear(gl.COLOR_BUFFER_BIT);
    gl.useProgram(this.program);
    const tile = this.tileAt(size), points = tile < LEAST_TILE;
    gl.uniform2f(this.where.middle, middle.x, middle.y);
    gl.uniform2f(this.where.scale, (2 * size) / box.width, (2 * size) / box.height);
    gl.uniform2f(this.where.tile, (2 * tile) / box.width, (2 * tile) / box.height);
    gl.uniform1i(this.where.across, this.map.across);
    gl.uniform1i(this.where.points, Number(points));
    gl.uniform1f(this.where.border, Math.min(.2, 3 / tile));
    gl.uniform3fv(this.where.ink, this.color("--accent"));
    gl.uniform3fv(this.where.warm, this.color("--warm"));
    gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, this.n);
  }

  /** A color of the sheet, each channel from 0 to 1. @param {string} name */
  color(name) {
    const text = getComputedStyle(this.canvas).getPropertyValue(name).trim();
    return [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16) / 255);
  }
}
