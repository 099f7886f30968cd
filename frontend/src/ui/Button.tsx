import type { ComponentChildren, JSX, Ref } from "preact";
import { Icon, type IconName } from "./Icon";
import "./button.css";

type NativeButtonProps = Omit<JSX.IntrinsicElements["button"], "children" | "icon" | "title" | "class" | "className" | "ref">;

export interface ButtonProps extends NativeButtonProps {
  children: ComponentChildren;
  kind?: "primary" | "plain" | "quiet" | "danger";
  icon?: IconName;
  /** Shows that it works and refuses further clicks. */
  busy?: boolean;
  class?: string;
  title?: string;
  buttonRef?: Ref<HTMLButtonElement>;
}

export function Button({ children, kind = "plain", icon, busy = false, disabled, class: className = "", buttonRef, ...rest }: ButtonProps) {
  return (
    <button type="button" {...rest} ref={buttonRef} class={`button button-${kind} ${className}`} disabled={disabled === true || busy} aria-busy={busy}>
      {busy ? <span class="spinner" aria-hidden="true" /> : icon && <Icon name={icon} />}
      <span>{children}</span>
    </button>
  );
}

export interface IconButtonProps extends NativeButtonProps {
  icon: IconName;
  /** What it does; the accessible name and the tooltip. */
  label: string;
  /** Shown after the label in the tooltip, e.g. `keysLabel("Mod-S")`. */
  keys?: string;
  pressed?: boolean;
  size?: number;
  class?: string;
  buttonRef?: Ref<HTMLButtonElement>;
}

export function IconButton({ icon, label, keys, pressed, size = 16, class: className = "", buttonRef, ...rest }: IconButtonProps) {
  return (
    <button
      type="button"
      {...rest}
      ref={buttonRef}
      class={`icon-button ${className}`}
      aria-label={label}
      aria-pressed={pressed}
      title={keys ? `${label} (${keys})` : label}
    >
      <Icon name={icon} size={size} />
    </button>
  );
}
