import { type Attributes, Component, type ComponentType, h, type VNode } from "preact";

/** The component, drawn again only when one of its properties is another one. */
export function memo<P extends object>(Inner: (props: P) => VNode | null): ComponentType<P> {
  return class Memo extends Component<P> {
    static override displayName = Inner.name;

    override shouldComponentUpdate(next: Readonly<P>): boolean {
      const before: Record<string, unknown> = { ...this.props };
      const after: Record<string, unknown> = { ...next };
      const names = Object.keys(after);
      return names.length !== Object.keys(before).length || names.some((name) => !Object.is(before[name], after[name]));
    }

    override render(): VNode {
      return h(Inner as ComponentType<P>, this.props as P & Attributes) as VNode;
    }
  };
}
